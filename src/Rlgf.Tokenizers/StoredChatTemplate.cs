namespace Rlgf.Tokenizers;

/// <summary>The chat template that lies beside a tokenizer, as text.</summary>
/// <param name="Name">Where it stands, for messages: a file, and the key in it where it is one.</param>
/// <param name="Text">The template, in Jinja's language.</param>
/// <param name="SpecialTokens">Tokens that it may name, by their roles, such as <c>bos_token</c>.</param>
public sealed record StoredChatTemplate(string Name, string Text, IReadOnlyDictionary<string, string> SpecialTokens)
{
    /// <summary>The key in <c>tokenizer_config.json</c>.</summary>
    internal const string Key = "chat_template";
}
