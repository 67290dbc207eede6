using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Tokenizers;

namespace Rlgf.Text;

/// <summary>Reads the chat template of a model folder in the Hugging Face layout.</summary>
public static class ChatTemplateFolder
{
    /// <summary>Reads a template; see <see cref="TokenizerFolder.FindChatTemplate"/> for where it may stand.</summary>
    /// <exception cref="InputException">The folder has none, or it can't be read.</exception>
    public static ChatTemplate Load(string folder) =>
        Find(folder) ?? throw new InputException($"{folder}: has no chat template: neither chat_template.jinja nor \"chat_template\" in tokenizer_config.json; give the prompt as text.");

    /// <summary>As <see cref="Load"/>, but null where the folder has no template.</summary>
    /// <exception cref="InputException">It can't be read.</exception>
    public static ChatTemplate? Find(string folder) =>
        TokenizerFolder.FindChatTemplate(folder) is { } stored ? ChatTemplate.Parse(stored.Name, stored.Text, stored.SpecialTokens) : null;
}
