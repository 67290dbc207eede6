using Rlgf.Base;

namespace Rlgf.Tokenizers.Subwords;

/// <summary>What stands for text that a vocabulary can't spell.</summary>
/// <param name="Id">The token; null where the vocabulary has none.</param>
/// <param name="Missing">Where there is none: what the tokenizer's file says of it, for the error; null where such text is left out in silence, as byte pair encoding does.</param>
internal readonly record struct UnknownToken(int? Id, string? Missing)
{
    private const int LongestQuote = 40;

    /// <summary>The token for a stretch of text, or null where it is left out.</summary>
    /// <exception cref="InputException">There is no token, and leaving the text out was not asked for.</exception>
    public int? For(ReadOnlySpan<char> text)
    {
        if (Id is not null || Missing is null)
            return Id;
        var quote = text.Length <= LongestQuote ? text.ToString() : string.Concat(text[..LongestQuote], "…");
        throw new InputException($"the tokenizer's vocabulary can't spell \"{quote}\", and {Missing}; leave such text out, or use a tokenizer with an unknown token.");
    }
}
