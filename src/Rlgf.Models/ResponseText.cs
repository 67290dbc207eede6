using Rlgf.Text.Tokenization;

namespace Rlgf.Models;

/// <summary>
/// Responses as text and as tokens. A response goes on from its prompt, so that a space before its first word belongs to it and a word may go on across the seam;
/// an encoder–decoder's is a text of its own. Vocabularies that mark words spell the two differently.
/// </summary>
public static class ResponseText
{
    /// <summary>The text of a response.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="shape">The model's sizes, which say whether it is an encoder–decoder.</param>
    /// <param name="ids">The response, or the beginning of it; special tokens write nothing.</param>
    public static string Decode(ITokenizer tokenizer, LanguageModelShape shape, ReadOnlySpan<int> ids) =>
        shape.ReadsPromptApart ? tokenizer.Decode(ids) : tokenizer.DecodeContinuation(ids);

    /// <summary>A text as a response, without an end token. A special token's text in it is ordinary text.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="shape">The model's sizes, which say whether it is an encoder–decoder.</param>
    /// <param name="text">The whole response, or what is there of it from its beginning.</param>
    public static int[] Encode(ITokenizer tokenizer, LanguageModelShape shape, string text) =>
        tokenizer.EncodeContinuation(text, startsText: shape.ReadsPromptApart);
}
