namespace Rlgf.Tokenizers.Patterns;

/// <summary>
/// What a part of a regular expression matches where case is ignored, as Oniguruma has it: by full case folding, so that "ss" matches "ß" and "ß" matches "SS",
/// as long as the letters stand together in the expression.
/// </summary>
internal static class CaseVariants
{
    /// <summary>A text with all its variants.</summary>
    /// <param name="codes">The text.</param>
    /// <param name="oneForOne">Whether each character is matched by one character only, as in look-behind.</param>
    public static PatternNode OfText(IReadOnlyList<int> codes, bool oneForOne)
    {
        var parts = new List<PatternNode>();
        for (var at = 0; at < codes.Count;)
        {
            var taken = 0;
            for (var length = Math.Min(3, codes.Count - at); length > 1 && !oneForOne && taken == 0; length--)
            {
                int[] folded = [.. codes.Skip(at).Take(length).Select(FoldedToOne)];
                if (CaseFolding.UnfoldsOf(folded) is { Count: > 0 } unfolds)
                {
                    parts.Add(Variants(CodePointSet.Of(unfolds), folded));
                    taken = length;
                }
            }
            if (taken == 0)
                parts.Add(OfCharacter(codes[at], oneForOne));
            at += Math.Max(1, taken);
        }
        return PatternNode.Sequence(parts);
    }

    /// <summary>A character class with all variants of its characters; one of several characters is an alternative to the class.</summary>
    public static PatternNode OfClass(CodePointSet set, bool isNegative)
    {
        var texts = new List<PatternNode>();
        var variants = set;
        foreach (var (folded, unfolded) in CaseFolding.Groups)
        {
            var group = CodePointSet.Of(folded.Length == 1 ? [folded[0], .. unfolded] : unfolded);
            if (set.Intersect(group).IsEmpty)
                continue;
            variants = variants.Union(group);
            if (folded.Length > 1 && !isNegative)
                texts.Add(Text(folded));
        }
        return PatternNode.Alternation([new SetNode(isNegative ? variants.Complement() : variants), .. texts]);
    }

    private static PatternNode OfCharacter(int code, bool oneForOne)
    {
        var folded = CaseFolding.FoldOf(code);
        if (folded.Length == 1)
            return new SetNode(CaseFolding.Variants(folded[0]));
        var same = CodePointSet.Of([code, .. CaseFolding.UnfoldsOf(folded)]);
        return oneForOne ? new SetNode(same) : Variants(same, folded);
    }

    private static PatternNode Variants(CodePointSet single, int[] folded) => PatternNode.Alternation(new SetNode(single), Text(folded));

    private static PatternNode Text(int[] folded) => PatternNode.Sequence(folded.Select(code => new SetNode(CaseFolding.Variants(code))));

    private static int FoldedToOne(int code) => CaseFolding.FoldOf(code) is [var one] ? one : code;
}
