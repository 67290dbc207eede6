namespace Rlgf.Tokenizers.Words;

/// <summary>
/// The pattern of cl100k, Llama 3 and Qwen 2, which differ in how many digits they keep together:
/// <c>(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+</c>.
/// </summary>
internal sealed class Cl100kPattern(int maxDigits) : IWordPattern
{
    private const string Before = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}";
    private const string After = @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>The pattern that a regular expression spells, or null if it isn't one of this family.</summary>
    public static Cl100kPattern? TryParse(string regex) => regex switch
    {
        Before + After => new Cl100kPattern(1),
        Before + "{1,3}" + After => new Cl100kPattern(3),
        _ => null,
    };

    public int EndOfMatch(ReadOnlySpan<char> text, int start)
    {
        if (Contractions.LengthAt(text, start, ignoreCase: true) is var contraction and > 0)
            return start + contraction;

        var first = CharacterClasses.ClassAt(text, start, out var length);
        if (first == CharacterClass.Letter)
            return CharacterClasses.EndOfRun(text, start, CharacterClass.Letter);
        if (first == CharacterClass.Number)
            return CharacterClasses.EndOfRun(text, start, CharacterClass.Number, maxDigits);

        var next = start + length;
        var follows = next < text.Length ? CharacterClasses.ClassAt(text, next, out _) : CharacterClass.Space;
        if (follows == CharacterClass.Letter && !IsLineBreak(text[start]))
            return CharacterClasses.EndOfRun(text, next, CharacterClass.Letter);
        if (first == CharacterClass.Other || (text[start] == ' ' && follows == CharacterClass.Other))
            return EndOfLineBreaks(text, CharacterClasses.EndOfRun(text, first == CharacterClass.Other ? start : next, CharacterClass.Other));

        var end = CharacterClasses.EndOfRun(text, start, CharacterClass.Space);
        var lastBreak = text[start..end].LastIndexOfAny('\r', '\n');
        return lastBreak >= 0 ? start + lastBreak + 1 : Spaces.EndOfRun(text, start);
    }

    private static bool IsLineBreak(char unit) => unit is '\r' or '\n';

    private static int EndOfLineBreaks(ReadOnlySpan<char> text, int at)
    {
        while (at < text.Length && IsLineBreak(text[at]))
            at++;
        return at;
    }
}
