namespace Rlgf.Tokenizers.Parts;

/// <summary>A part of a <see cref="Template"/>.</summary>
/// <param name="Ids">Special tokens; null where a text goes.</param>
/// <param name="IsSecond">Whether that text is the second of a pair.</param>
/// <param name="TypeId">The token type of all that is put here.</param>
internal readonly record struct TemplatePart(int[]? Ids, bool IsSecond, int TypeId);

/// <summary>What a model is given of one text or two: their tokens with special tokens around.</summary>
internal sealed record Template(IReadOnlyList<TemplatePart> Parts)
{
    /// <summary>One text as it is.</summary>
    public static Template One { get; } = new([new TemplatePart(null, false, 0)]);

    /// <summary>Two texts, one after the other, of types 0 and 1.</summary>
    public static Template Two { get; } = new([new TemplatePart(null, false, 0), new TemplatePart(null, true, 1)]);

    /// <summary>How many special tokens it adds.</summary>
    public int AddedTokens => Parts.Sum(part => part.Ids?.Length ?? 0);

    /// <summary>Puts tokens into their places.</summary>
    public (int[] Ids, int[] TypeIds) Fill(ReadOnlySpan<int> first, ReadOnlySpan<int> second)
    {
        var ids = new List<int>(first.Length + second.Length + AddedTokens);
        var types = new List<int>(ids.Capacity);
        foreach (var part in Parts)
        {
            var tokens = part.Ids is not null ? part.Ids : part.IsSecond ? second : first;
            ids.AddRange(tokens);
            types.AddRange(Enumerable.Repeat(part.TypeId, tokens.Length));
        }
        return ([.. ids], [.. types]);
    }
}
