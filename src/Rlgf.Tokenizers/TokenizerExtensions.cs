namespace Rlgf.Tokenizers;

/// <summary>What every tokenizer can do by what <see cref="ITokenizer"/> asks of it.</summary>
public static class TokenizerExtensions
{
    /// <summary>Encodes a text with the special tokens around it; where that is too much, the text's end is kept, and all special tokens.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="text">The text.</param>
    /// <param name="most">The most tokens; more than the special tokens alone.</param>
    public static int[] EncodeEnd(this ITokenizer tokenizer, string text, int most)
    {
        var whole = tokenizer.Encode(text, addSpecialTokens: true);
        if (whole.Length <= most) return whole;
        var plain = tokenizer.Encode(text);
        return tokenizer.AddSpecialTokens(plain.AsSpan(plain.Length - (most - (whole.Length - plain.Length))));
    }
}
