namespace Rlgf.Tokenizers.Words;

/// <summary><c>'s|'t|'re|'ve|'m|'ll|'d</c>, the English endings that the patterns keep apart.</summary>
internal static class Contractions
{
    /// <summary>Length of the contraction that begins at <paramref name="at"/>, 0 if there is none.</summary>
    public static int LengthAt(ReadOnlySpan<char> text, int at, bool ignoreCase)
    {
        if (text[at] != '\'' || at + 1 >= text.Length)
            return 0;
        var first = Fold(text[at + 1], ignoreCase);
        if (first is 's' or 't' or 'm' or 'd')
            return 2;
        var second = at + 2 < text.Length ? Fold(text[at + 2], ignoreCase) : '\0';
        return (first, second) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }

    // U+017F, the long s, is an s to a pattern that ignores case.
    private static char Fold(char letter, bool ignoreCase) => !ignoreCase ? letter : letter == '\u017F' ? 's' : char.ToLowerInvariant(letter);
}
