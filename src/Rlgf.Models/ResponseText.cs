using Rlgf.Tokenizers;

namespace Rlgf.Models;

/// <summary>
/// Responses as text and as tokens. A response goes on from its prompt, so that a space before its first word belongs to it and a word may go on across the seam;
/// an encoder–decoder's is a text of its own, so that who reads both as one text puts a space between them. Vocabularies that mark words spell the two differently.
/// </summary>
public static class ResponseText
{
    /// <summary>The text of a response.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="shape">The model's sizes, which say whether it is an encoder–decoder.</param>
    /// <param name="ids">The response, or the beginning of it; special tokens write nothing.</param>
    public static string Decode(ITokenizer tokenizer, LanguageModelShape shape, ReadOnlySpan<int> ids) =>
        shape.ReadsPromptApart ? tokenizer.Decode(ids) : tokenizer.DecodeContinuation(ids);

    /// <summary>As <see cref="Decode"/>, for a response whose tokens come one by one.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="shape">The model's sizes, which say whether it is an encoder–decoder.</param>
    public static StreamingDecoder Decoder(ITokenizer tokenizer, LanguageModelShape shape) => new(tokenizer, goesOn: !shape.ReadsPromptApart);

    /// <summary>Prompt and response as one text.</summary>
    /// <param name="prompt">The prompt.</param>
    /// <param name="response">The response, or the beginning of it.</param>
    /// <param name="standsAlone">Whether the response is a text of its own: then a space comes between the two, where neither has white space there.</param>
    public static string Join(string prompt, string response, bool standsAlone) => prompt + Separator(prompt, response, standsAlone) + response;

    /// <summary>What <see cref="Join"/> puts between the two.</summary>
    /// <inheritdoc cref="Join"/>
    public static string Separator(string prompt, string response, bool standsAlone) =>
        standsAlone && prompt.Length > 0 && response.Length > 0 && !char.IsWhiteSpace(prompt[^1]) && !char.IsWhiteSpace(response[0]) ? " " : "";

    /// <summary>A text as a response, without an end token. A special token's text in it is ordinary text.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="shape">The model's sizes, which say whether it is an encoder–decoder.</param>
    /// <param name="text">The whole response, or what is there of it from its beginning.</param>
    public static int[] Encode(ITokenizer tokenizer, LanguageModelShape shape, string text) =>
        tokenizer.EncodeContinuation(text, startsText: shape.ReadsPromptApart);
}
