using System.Collections.ObjectModel;

namespace Rlgf.ChatTemplates;

/// <summary>One message of a conversation.</summary>
/// <param name="Role">Who wrote it: <c>system</c>, <c>user</c> or <c>assistant</c>, or what else the template knows.</param>
/// <param name="Content">Its text.</param>
public sealed record ChatMessage(string Role, string Content)
{
    /// <summary>The role of the model that answers.</summary>
    public const string Assistant = "assistant";

    /// <summary>
    /// What else templates may read: <c>tool_calls</c>, <c>reasoning_content</c> and so on, as texts, numbers, truth values, lists and dictionaries of these. What is null is left out. A
    /// <c>content</c> among them stands in the place of <see cref="Content"/>: parts, or null for a message without one.
    /// </summary>
    public IReadOnlyDictionary<string, object?> Other { get; init; } = ReadOnlyDictionary<string, object?>.Empty;
}
