using Rlgf.ChatTemplates;
using Rlgf.Text.Data;

namespace Rlgf.Text.Conversations;

/// <summary>Two answers to one prompt, of which the first was preferred.</summary>
/// <param name="Row">Where it is from.</param>
/// <param name="Prompt">What both answer, at least one message and none of the assistant's at the end; a plain text as the user's only message.</param>
/// <param name="Chosen">The preferred answer, the assistant's message.</param>
/// <param name="Rejected">The other answer, which is not the same.</param>
/// <param name="IsConversation">Whether the row holds messages, for a chat template, rather than plain texts that go on from each other.</param>
/// <param name="Margin">By how much the first is better, for a loss that asks for it; 0 where no column says it.</param>
public sealed record PreferencePair(DataRow Row, IReadOnlyList<ChatMessage> Prompt, ChatMessage Chosen, ChatMessage Rejected, bool IsConversation, double Margin)
{
    /// <summary>The prompt with the preferred answer.</summary>
    public IReadOnlyList<ChatMessage> ChosenConversation => [.. Prompt, Chosen];

    /// <summary>The prompt with the other answer.</summary>
    public IReadOnlyList<ChatMessage> RejectedConversation => [.. Prompt, Rejected];
}

/// <summary>The columns of a file of pairs.</summary>
public sealed record PairColumns
{
    /// <summary>The column with the prompt. It may be missing where the answers are whole conversations.</summary>
    public string Prompt { get; init; } = "prompt";

    /// <summary>The column with the preferred answer.</summary>
    public string Chosen { get; init; } = "chosen";

    /// <summary>The column with the other answer.</summary>
    public string Rejected { get; init; } = "rejected";

    /// <summary>The column that says by how much the preferred one is better; null for none.</summary>
    public string? Margin { get; init; }
}
