using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Text.Data;

namespace Rlgf.Text.Conversations;

/// <summary>
/// Reads pairs of a preferred and another answer. The prompt is a text or a list of messages, an answer a text, a list with the assistant's message, or a whole conversation, as TRL's data sets have them; whole conversations begin
/// with the same messages and differ in the last.
/// </summary>
/// <remarks>What is malformed is refused. Pairs from which nothing can be learned, which collected data sets have (both answers the same, an empty answer), are left out and counted.</remarks>
public static class PreferencePairs
{
    /// <summary>Why a pair was left out of which both answers are the same.</summary>
    public const string Same = "chosen and rejected are the same";

    /// <summary>The largest margin: scores that are so far apart have a loss of 0 in every number type.</summary>
    private const double MostMargin = 1000;

    /// <summary>Why a pair was left out of which an answer is empty.</summary>
    public const string Empty = "an answer is empty";

    /// <summary>Reads pairs.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="columns">Their columns; null for the usual names.</param>
    /// <param name="dropped">Is told of rows from which nothing can be learned.</param>
    /// <returns>The other rows' pairs, read as they are asked for.</returns>
    /// <exception cref="InputException">A row is malformed: a column is missing or holds something else, a conversation doesn't end with the assistant's turn, prompts differ, a margin is no number from 0 to 1000; names file, row and column.</exception>
    public static IEnumerable<PreferencePair> Read(IEnumerable<DataRow> rows, PairColumns? columns, DroppedRows dropped)
    {
        columns ??= new PairColumns();
        foreach (var row in rows)
        {
            var pair = Read(row, columns);
            if (IsEmpty(pair.Chosen) || IsEmpty(pair.Rejected)) dropped.Add(Empty, row);
            else if (pair.Chosen.Content == pair.Rejected.Content && IsSame(pair.Chosen.Other, pair.Rejected.Other)) dropped.Add(Same, row);
            else yield return pair;
        }
    }

    private static PreferencePair Read(DataRow row, PairColumns columns)
    {
        var (chosenBefore, chosen, chosenIsText) = Answer(row, columns.Chosen);
        var (rejectedBefore, rejected, rejectedIsText) = Answer(row, columns.Rejected);
        if ((chosenBefore is null) != (rejectedBefore is null))
            throw row.Invalid(columns.Rejected, $"one of {columns.Chosen} and {columns.Rejected} holds a whole conversation and the other only an answer; write both alike");
        if (chosenBefore is not null) RequireSamePrompt(row, columns, chosenBefore, rejectedBefore!);
        var prompt = Prompt(row, columns, chosenBefore, out var promptIsText);
        return new(row, prompt, chosen, rejected, !(promptIsText && chosenIsText && rejectedIsText), Margin(row, columns.Margin));
    }

    /// <summary>An answer; of a whole conversation also what comes before it.</summary>
    private static (IReadOnlyList<ChatMessage>? Before, ChatMessage Answer, bool IsText) Answer(DataRow row, string column)
    {
        if (row[column] is string text) return (null, new ChatMessage(ChatMessage.Assistant, text), true);
        if (row[column] is not IReadOnlyList<object?>) throw row.Expected(column, "an answer: a text, or a list of messages that ends with the assistant's");
        var messages = ConversationReader.ReadKnownRoles(row, column);
        if (messages[^1].Role != ChatMessage.Assistant) throw row.Invalid(column, $"it ends with the {messages[^1].Role}'s turn; an answer is the assistant's");
        if (messages.Count == 1) return (null, messages[0], false);
        if (messages[0].Role == ChatMessage.Assistant) throw row.Invalid(column, $"it holds {messages.Count} messages from the assistant's on; an answer is one message, and a whole conversation begins with the user's or the system's");
        return ([.. messages.SkipLast(1)], messages[^1], false);
    }

    /// <summary>What both answer: of whole conversations their beginning, which a prompt that the row has too must not contradict.</summary>
    private static IReadOnlyList<ChatMessage> Prompt(DataRow row, PairColumns columns, IReadOnlyList<ChatMessage>? beginning, out bool isText)
    {
        isText = false;
        if (beginning is not null && !row.Has(columns.Prompt)) return beginning;
        IReadOnlyList<ChatMessage> prompt;
        switch (row[columns.Prompt])
        {
            case string text when beginning is not null:
                return beginning.Any(message => message.Content == text) ? beginning
                    : throw row.Invalid(columns.Prompt, $"it is none of the messages before the answers in {columns.Chosen} and {columns.Rejected}, so that the prompts differ");
            case string text:
                isText = true;
                prompt = text.Length > 0 ? [new ChatMessage("user", text)] : throw row.Invalid(columns.Prompt, "it is empty; an answer needs something that it answers");
                break;
            case IReadOnlyList<object?>:
                prompt = ConversationReader.ReadKnownRoles(row, columns.Prompt);
                break;
            default:
                throw row.Expected(columns.Prompt, "a prompt: a text or a list of messages");
        }

        if (prompt[^1].Role == ChatMessage.Assistant) throw row.Invalid(columns.Prompt, "it ends with the assistant's turn, so that there is nothing to answer");
        if (beginning is null) return prompt;
        return prompt.Count == beginning.Count && FirstDifference(prompt, beginning) is null ? beginning
            : throw row.Invalid(columns.Prompt, $"it is not what {columns.Chosen} and {columns.Rejected} begin with, so that the prompts differ");
    }

    private static void RequireSamePrompt(DataRow row, PairColumns columns, IReadOnlyList<ChatMessage> chosen, IReadOnlyList<ChatMessage> rejected)
    {
        var difference = FirstDifference(chosen, rejected) ?? (chosen.Count == rejected.Count ? null : Math.Min(chosen.Count, rejected.Count) + 1);
        if (difference is { } message)
            throw row.Invalid(columns.Rejected, $"its prompt differs from that of {columns.Chosen} at message {message}; a pair has two answers to one prompt, the last messages");
        if (chosen[^1].Role == ChatMessage.Assistant) throw row.Invalid(columns.Chosen, "it ends with two turns of the assistant, so that the last one answers nothing");
    }

    /// <summary>The number, from 1, of the first message that differs among those that both have.</summary>
    private static int? FirstDifference(IReadOnlyList<ChatMessage> one, IReadOnlyList<ChatMessage> other)
    {
        for (var i = 0; i < Math.Min(one.Count, other.Count); i++)
            if (one[i].Role != other[i].Role || one[i].Content != other[i].Content || !IsSame(one[i].Other, other[i].Other)) return i + 1;
        return null;
    }

    private static double Margin(DataRow row, string? column)
    {
        if (column is null) return 0;
        var margin = row.GetDouble(column);
        return margin switch
        {
            >= 0 and <= MostMargin => margin,
            < 0 => throw row.Invalid(column, FormattableString.Invariant($"the margin is {margin}, below 0, so that the rejected answer would be the better one; swap the two, or leave such rows out (data.filter)")),
            _ => throw row.Invalid(column, FormattableString.Invariant($"the margin is {margin}; it is by how much the chosen answer's score is ahead, a number from 0 to {MostMargin}")),
        };
    }

    /// <summary>A call of a tool is an answer without text.</summary>
    private static bool IsEmpty(ChatMessage answer) => string.IsNullOrWhiteSpace(answer.Content) && !ConversationReader.CallsTool(answer.Other);

    private static bool IsSame(object? one, object? other) => (one, other) switch
    {
        (IReadOnlyDictionary<string, object?> first, IReadOnlyDictionary<string, object?> second) =>
            first.Count == second.Count && first.All(entry => second.TryGetValue(entry.Key, out var value) && IsSame(entry.Value, value)),
        (IReadOnlyList<object?> first, IReadOnlyList<object?> second) => first.Count == second.Count && first.Zip(second).All(pair => IsSame(pair.First, pair.Second)),
        _ => Equals(one, other),
    };
}
