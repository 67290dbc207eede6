namespace Rlgf.ChatTemplates;

/// <summary>One message of a conversation.</summary>
/// <param name="Role">Who wrote it: <c>system</c>, <c>user</c> or <c>assistant</c>, or what else the template knows.</param>
/// <param name="Content">Its text.</param>
public sealed record ChatMessage(string Role, string Content);
