namespace Rlgf.Tokenizers.Parts;

/// <summary>Leaves the spaces at a token's ends out of its offsets, as the <c>trim_offsets</c> of Hugging Face's files asks for.</summary>
/// <param name="AddsPrefixSpace">Whether the tokenizer puts a space before the text, which then isn't there to be left out.</param>
internal sealed record OffsetTrimming(bool AddsPrefixSpace)
{
    /// <summary>The space as byte-level vocabularies spell it.</summary>
    private const char Space = 'Ġ';

    /// <summary>The offsets of a token without the spaces at its ends.</summary>
    /// <param name="token">The token as the vocabulary spells it; an added token as it stands in the text.</param>
    /// <param name="text">The text.</param>
    /// <param name="offsets">Its offsets with spaces.</param>
    /// <param name="isFirst">Whether it's the first of the text.</param>
    public (int Start, int End) Trim(ReadOnlySpan<char> token, ReadOnlySpan<char> text, (int Start, int End) offsets, bool isFirst)
    {
        var (start, end) = offsets;
        int before = 0, after = 0;
        while (before < token.Length && IsSpace(token[before]))
            before++;
        while (after < token.Length && IsSpace(token[^(after + 1)]))
            after++;
        if (before > 0 && AddsPrefixSpace && (isFirst || start == 0))
            before--;
        // A space of the token can stand for any character of the text.
        for (; before > 0 && start < end; before--)
            start += IsPair(text, start) ? 2 : 1;
        for (; after > 0 && end > start; after--)
            end -= end - 2 >= start && IsPair(text, end - 2) ? 2 : 1;
        return (start, end);
    }

    private static bool IsPair(ReadOnlySpan<char> text, int at) => at + 1 < text.Length && char.IsSurrogatePair(text[at], text[at + 1]);

    private static bool IsSpace(char character) => character == Space || char.IsWhiteSpace(character);
}
