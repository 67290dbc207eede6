using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Models.Loading;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Text;
using Rlgf.Text.Conversations;
using Rlgf.Text.Data;
using Rlgf.Tokenizers;

namespace Rlgf.Recipes;

/// <summary>A policy that is asked by its chat template: what its prompts are made of.</summary>
/// <param name="Encoder">From messages to what it reads.</param>
/// <param name="Section">What it is told beside the data.</param>
public sealed record ChatPolicy(ConversationEncoder Encoder, ChatSection Section)
{
    /// <summary>Some templates tell the date: the same on every day, so that a run can be repeated. It is what Llama 3's tells where nobody else does.</summary>
    private static readonly DateTime TemplateDate = new(2024, 7, 26, 0, 0, 0, DateTimeKind.Unspecified);

    /// <summary>How a recipe's policy is asked; null where its prompts are texts that it goes on from.</summary>
    /// <exception cref="InputException">The model's folder has no chat template, or it can't be used.</exception>
    public static ChatPolicy? Of(ModelSection model, DataSection data, TextModel policy) => model.Chat is null && data.MessagesColumn is null
        ? null
        : new(EncoderOf(model.Tokenizer ?? model.Path, policy, model.Chat), model.Chat ?? new ChatSection());

    /// <summary>An encoder by the template of a model's folder.</summary>
    /// <exception cref="InputException">It has none, or one that can't be used.</exception>
    internal static ConversationEncoder EncoderOf(string folder, TextModel model, ChatSection? chat) =>
        EncoderOf(ChatTemplateFolder.Load(TextModel.TokenizerFolderOf(folder)), model.Tokenizer, chat);

    /// <summary>An encoder by a template, as a recipe's models are asked: on the same date always.</summary>
    /// <param name="template">The template.</param>
    /// <param name="tokenizer">The tokenizer of who is asked.</param>
    /// <param name="chat">How; null for the defaults.</param>
    /// <exception cref="InputException">The template can't be used.</exception>
    public static ConversationEncoder EncoderOf(ChatTemplate template, ITokenizer tokenizer, ChatSection? chat) => new(template, tokenizer, TemplateDate, chat?.MarkersAreTokens == true);

    /// <summary>What a classifier reads of an answer in a conversation, by the template of its folder.</summary>
    /// <exception cref="InputException">It has none, or one that can't be used.</exception>
    internal static ClassifierInput InputOf(string folder, ITokenizer tokenizer, ChatSection chat) =>
        new(tokenizer, Template: EncoderOf(ChatTemplateFolder.Load(TextModel.TokenizerFolderOf(folder)), tokenizer, chat), Messages: chat.Messages);

    /// <summary>The prompt that asks for a response.</summary>
    /// <param name="prompt">Text, conversation where there is one, references and row.</param>
    /// <exception cref="InputException">The template refuses the conversation; the message names the row.</exception>
    public Prompt Ask(Prompt prompt)
    {
        var messages = Section.Messages(prompt);
        try
        {
            return prompt with { Messages = messages, Tokens = Encoder.Encode(messages, addGenerationPrompt: true).Ids };
        }
        catch (InputException refused) when (prompt.Row is { } row)
        {
            throw new InputException($"{row.Location}: {refused.Message}", refused);
        }
    }

    /// <summary>The prompt of a row that holds a conversation: the answer at its end, if there is one, is not asked but the reference.</summary>
    /// <param name="row">The row.</param>
    /// <param name="column">The column with the messages.</param>
    /// <returns>The prompt without references of another column, and the answer at the end; null where there is none.</returns>
    /// <exception cref="InputException">The column holds no conversation with something to answer.</exception>
    public (Prompt Prompt, string? Answer) Read(DataRow row, string column)
    {
        var messages = ConversationReader.Read(row, column);
        var answer = messages is [.., { Role: ChatMessage.Assistant } last] ? last : null;
        ChatMessage[] asked = [.. answer is null ? messages : messages.SkipLast(1)];
        if (asked.Length == 0) throw row.Invalid(column, "holds nothing but an answer; there must be a message to answer before it");
        return (Ask(new Prompt(asked[^1].Content, []) { Messages = asked, Row = row }), answer?.Content);
    }
}
