namespace Rlgf.Text.Tokenization;

/// <summary>Leaves the spaces at a token's ends out of its offsets, as the <c>trim_offsets</c> of Hugging Face's files asks for.</summary>
/// <param name="AddsPrefixSpace">Whether the tokenizer puts a space before the text, which then isn't there to be left out.</param>
internal sealed record OffsetTrimming(bool AddsPrefixSpace)
{
    /// <summary>The space as byte-level vocabularies spell it.</summary>
    private const char Space = 'Ġ';

    /// <summary>The offsets of a token without the spaces at its ends.</summary>
    /// <param name="token">The token as the vocabulary spells it; an added token as it stands in the text.</param>
    /// <param name="offsets">Its offsets with spaces.</param>
    /// <param name="isFirst">Whether it's the first of the text.</param>
    public (int Start, int End) Trim(ReadOnlySpan<char> token, (int Start, int End) offsets, bool isFirst)
    {
        var (start, end) = offsets;
        int before = 0, after = 0;
        while (before < token.Length && IsSpace(token[before]))
            before++;
        while (after < token.Length && IsSpace(token[^(after + 1)]))
            after++;
        if (before > 0 && AddsPrefixSpace && (isFirst || start == 0))
            before--;
        start = Math.Min(start + before, end);
        return (start, end >= after ? Math.Max(end - after, start) : end);
    }

    private static bool IsSpace(char character) => character == Space || char.IsWhiteSpace(character);
}
