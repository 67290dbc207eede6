using Rlgf.ChatTemplates;
using Rlgf.Text.Data;

namespace Rlgf.Prompts;

/// <summary>A prompt x: what a response answers or goes on from. Guides, rewards and reports get it whole.</summary>
/// <param name="Text">As text, as a person reads it; of a conversation, what is asked last.</param>
/// <param name="Tokens">What the policy reads: ids of its tokenizer.</param>
public sealed record Prompt(string Text, int[] Tokens)
{
    /// <summary>
    /// Which prompt it is: two prompts of one identity are the same one, and their responses a group. The data row that it came from, whatever it says, so that it is the same in every run on
    /// that file; for one that came from no data, its text.
    /// </summary>
    public string Id { get => field ?? Row?.Id ?? Text; init; }

    /// <summary>The conversation that a response is the next message of, for a policy that was taught to hold conversations; null where the text is all there is.</summary>
    public IReadOnlyList<ChatMessage>? Messages { get; init; }

    /// <summary>All reference responses as text that the data has, in its order; none of them is empty.</summary>
    public IReadOnlyList<string> References { get; init; } = [];

    /// <summary>The data row it came from; null where it came from no data.</summary>
    public DataRow? Row { get; init; }
}
