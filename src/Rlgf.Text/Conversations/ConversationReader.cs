using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Text.Data;

namespace Rlgf.Text.Conversations;

/// <summary>Reads conversations from data rows: a list of objects with <c>role</c> and <c>content</c>, as chat data sets have them.</summary>
public static class ConversationReader
{
    /// <summary>The roles of published templates.</summary>
    private static readonly string[] KnownRoles = ["system", "developer", "user", ChatMessage.Assistant, "tool", "function", "ipython"];

    /// <summary>What published templates call the calls of tools.</summary>
    private static readonly string[] Calls = ["tool_calls", "function_call"];

    /// <summary>Reads a conversation.</summary>
    /// <param name="row">The row.</param>
    /// <param name="column">The column that holds the messages. Content in parts is joined: few templates know parts.</param>
    /// <returns>The messages, at least one.</returns>
    /// <exception cref="InputException">The column holds something else; the message says which and where.</exception>
    public static IReadOnlyList<ChatMessage> Read(DataRow row, string column)
    {
        if (row[column] is not IReadOnlyList<object?> list) throw row.Invalid(column, $"expected a list of messages, such as [{{\"role\": \"user\", \"content\": \"…\"}}], found {DataRow.Describe(row[column])}");
        if (list.Count == 0) throw row.Invalid(column, "holds no message");
        return [.. list.Select((value, at) => Message(value, problem => row.Invalid(column, $"message {at + 1}: {problem}")))];
    }

    /// <summary>As <see cref="Read"/>, of conversations that a model learns from: a role that no template knows ("human", "gpt") would be taught as it stands, without a word from the template.</summary>
    /// <inheritdoc cref="Read"/>
    public static IReadOnlyList<ChatMessage> ReadKnownRoles(DataRow row, string column)
    {
        var messages = Read(row, column);
        for (var i = 0; i < messages.Count; i++)
        {
            if (!KnownRoles.Contains(messages[i].Role)) throw row.Invalid(column, $"message {i + 1}: the role '{messages[i].Role}' is none of {string.Join(", ", KnownRoles)}; rename it");
        }

        return messages;
    }

    private static ChatMessage Message(object? value, Func<string, InputException> error)
    {
        if (value is not IReadOnlyDictionary<string, object?> fields) throw error($"expected an object with role and content, found {DataRow.Describe(value)}");
        if (fields.GetValueOrDefault("role") is not string role) throw error($"expected a text as role, found {(fields.ContainsKey("role") ? DataRow.Describe(fields["role"]) : "no role")}");
        var other = fields.Where(entry => entry.Key is not ("role" or "content") && entry.Value is not null).ToDictionary(entry => entry.Key, entry => entry.Value);
        foreach (var (key, unread) in other)
        {
            if (unread is Unread) throw error($"\"{key}\" holds {DataRow.Describe(unread)}, which isn't read");
        }

        switch (fields.GetValueOrDefault("content"))
        {
            case string text:
                return new ChatMessage(role, text) { Other = other };
            case IReadOnlyList<object?> parts:
                return new ChatMessage(role, string.Concat(parts.Select(part => Part(part, error)))) { Other = other };
            // A call of a tool has no text.
            case null when CallsTool(other):
                other["content"] = null;
                return new ChatMessage(role, "") { Other = other };
            case null:
                throw error($"the {role}'s message has {(fields.ContainsKey("content") ? "null as" : "no")} content{(role == "assistant" ? " and calls no tool" : "")}; give it a text, or leave the row out");
            case var content:
                throw error($"expected a text as content, found {DataRow.Describe(content)}");
        }
    }

    /// <summary>Whether a message calls a tool, by what it has beside its content.</summary>
    internal static bool CallsTool(IReadOnlyDictionary<string, object?> other) => Calls.Any(key => other.GetValueOrDefault(key) is { } calls && calls is not IReadOnlyList<object?> { Count: 0 });

    private static string Part(object? part, Func<string, InputException> error) => part switch
    {
        string text => text,
        IReadOnlyDictionary<string, object?> fields when fields.GetValueOrDefault("text") is string text => text,
        _ => throw error($"expected parts of text, found {(part is IReadOnlyDictionary<string, object?> fields && fields.GetValueOrDefault("type") is string type ? $"a part of the type '{type}'" : DataRow.Describe(part))}"),
    };
}
