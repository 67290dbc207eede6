using Rlgf.ChatTemplates;
using Rlgf.Prompts;
using Rlgf.Text.Conversations;
using Rlgf.Tokenizers;

namespace Rlgf.Rewards;

/// <summary>What a classifier reads of a response: the same when a reward model is trained and when it is a reward.</summary>
/// <param name="Tokenizer">The classifier's tokenizer.</param>
/// <param name="IncludePrompt">Whether it reads prompt and response, or the response alone.</param>
/// <param name="Template">Writes the conversation and the answer as the classifier's chat template has them; null: prompt and response are one text.</param>
/// <param name="Messages">With a template: the conversation that a prompt stands for; null: its own, or its text as the user's message.</param>
public sealed record ClassifierInput(ITokenizer Tokenizer, bool IncludePrompt = true, ConversationEncoder? Template = null, Func<Prompt, IReadOnlyList<ChatMessage>>? Messages = null)
{
    /// <summary>All of it, special tokens included, however long; an empty text counts as one end token.</summary>
    /// <param name="response">The response.</param>
    public int[] Whole(Response response) => NotEmpty(Template is null ? Tokenizer.Encode(TextOf(response), addSpecialTokens: true) : Rendered(response));

    /// <summary>As <see cref="Whole"/>, the last tokens where there are more than the classifier can take; a text stays between its special tokens.</summary>
    /// <param name="response">The response.</param>
    /// <param name="most">The most tokens.</param>
    public int[] Of(Response response, int most)
    {
        if (Template is null) return NotEmpty(Tokenizer.EncodeEnd(TextOf(response), most));
        var ids = Rendered(response);
        return NotEmpty(ids.Length <= most ? ids : ids[^most..]);
    }

    private string TextOf(Response response) => IncludePrompt ? response.Whole : response.Text;

    private int[] Rendered(Response response)
    {
        var asked = Messages?.Invoke(response.Prompt) ?? response.Prompt.Messages ?? [new ChatMessage("user", response.Prompt.Text)];
        return Template!.Encode([.. asked, new ChatMessage(ChatMessage.Assistant, response.Text)], addGenerationPrompt: false).Ids;
    }

    private int[] NotEmpty(int[] ids) => ids.Length > 0 ? ids : [Tokenizer.EosId ?? 0];
}
