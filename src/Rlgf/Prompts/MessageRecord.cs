namespace Rlgf.Prompts;

/// <summary>A message of a prompt.</summary>
/// <param name="Role">Who wrote it.</param>
/// <param name="Content">Its text.</param>
public sealed record MessageRecord(string Role, string Content)
{
    /// <summary>A prompt's messages; null where it is a text.</summary>
    public static IReadOnlyList<MessageRecord>? Of(Prompt prompt) => prompt.Messages is { } messages ? [.. messages.Select(message => new MessageRecord(message.Role, message.Content))] : null;
}
