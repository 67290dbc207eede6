using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Serving.Engine;
using Rlgf.Text;
using Rlgf.Text.Conversations;
using Rlgf.Tokenizers;

namespace Rlgf.Serving.Answers;

/// <summary>A model with all that answers need: its tokenizer, its chat template where it has one, and how it chooses tokens unless a request says otherwise.</summary>
internal sealed class ServedModel
{
    private readonly Dictionary<string, SamplingSettings> _defaults = new(StringComparer.Ordinal);

    /// <summary>Takes a model.</summary>
    /// <param name="model">The model with its tokenizer.</param>
    /// <param name="tokenizerFolder">Where the tokenizer and its chat template are.</param>
    /// <param name="settings">The engine's bounds.</param>
    public ServedModel(TextModel model, string tokenizerFolder, EngineSettings settings)
    {
        TokenizerFolder = tokenizerFolder;
        Conversations = ChatTemplateFolder.Find(tokenizerFolder) is { } template ? new ConversationEncoder(template, model.Tokenizer) : null;
        Text = model.EndingWith(Conversations?.EndOfTurn);
        RowTokens = Math.Min(settings.RowTokens, model.Model.Shape.ContextLength);
    }

    /// <summary>The model, ending where its chat template ends a turn too.</summary>
    public TextModel Text { get; }

    /// <summary>Where the tokenizer is.</summary>
    public string TokenizerFolder { get; }

    /// <summary>Turns messages into prompts; null where the model has no chat template.</summary>
    public ConversationEncoder? Conversations { get; }

    /// <summary>The most tokens of a row, prompt and answer together.</summary>
    public int RowTokens { get; }

    /// <summary>The tokenizer.</summary>
    public ITokenizer Tokenizer => Text.Tokenizer;

    /// <summary>The model's sizes.</summary>
    public LanguageModelShape Shape => Text.Model.Shape;

    /// <summary>How tokens are chosen where nothing is asked but what <paramref name="given"/> names; the same object for the same names, so that rows of different requests are handled together.</summary>
    /// <param name="given">Options that the request decides itself.</param>
    public SamplingSettings Defaults(IReadOnlySet<string> given)
    {
        var key = string.Join(' ', given.Order(StringComparer.Ordinal));
        lock (_defaults)
        {
            if (!_defaults.TryGetValue(key, out var settings)) _defaults[key] = settings = Text.Defaults.ApplyTo(new SamplingSettings { MaxNewTokens = RowTokens }, Text.EndTokens, given);
            return settings;
        }
    }

    /// <summary>A prompt's tokens; of an empty one the model's begin token, since it can't write from nothing.</summary>
    /// <param name="text">The prompt. A special token's name in it is that token.</param>
    /// <param name="addSpecialTokens">Whether what the tokenizer puts around every text is put around it.</param>
    /// <exception cref="InputException">It is empty, and the model has no begin token.</exception>
    public int[] PromptIds(string text, bool addSpecialTokens)
    {
        var ids = Tokenizer.Encode(text, addSpecialTokens);
        return ids.Length > 0 ? ids : Text.BeginToken is { } begin ? [begin] : throw new InputException("the prompt is empty, and the model has no begin token to start from");
    }

    /// <summary>A conversation's tokens.</summary>
    /// <param name="messages">The messages.</param>
    /// <param name="addGenerationPrompt">Whether it ends with the beginning of the assistant's next message.</param>
    /// <param name="continueFinalMessage">Whether the assistant's message at its end is left open, to be gone on with.</param>
    /// <exception cref="InputException">There is no template, or it refuses the messages.</exception>
    public int[] ConversationIds(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt, bool continueFinalMessage)
    {
        if (Conversations is not { } encoder) throw new InputException("the model has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json): use /v1/completions");
        if (!continueFinalMessage) return encoder.Encode(messages, addGenerationPrompt).Ids;
        if (messages is not [.., { Role: ChatMessage.Assistant }]) throw new InputException("continue_final_message goes on with an assistant's message, and the last message is none");
        return encoder.EncodePrompt(messages).Ids;
    }

    /// <summary>A token as a text of its own, special ones by their names.</summary>
    public string TextOf(int id) => Tokenizer.DecodeContinuation([id], skipSpecialTokens: false);

    /// <summary>Decodes an answer as it comes.</summary>
    public StreamingDecoder Decoder() => ResponseText.Decoder(Tokenizer, Shape);
}
