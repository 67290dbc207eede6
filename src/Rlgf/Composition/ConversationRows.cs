using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Recipes;
using Rlgf.Supervised;
using Rlgf.Text.Conversations;
using Rlgf.Text.Data;

namespace Rlgf.Composition;

/// <summary>Conversations of a recipe for supervised training as the model learns them.</summary>
/// <param name="recipe">The recipe.</param>
/// <param name="model">The model.</param>
internal sealed class ConversationRows(SftRecipe recipe, TextModel model)
{
    private readonly ConversationEncoder _encoder = recipe.Locations.Of(
        "model", () => ChatPolicy.EncoderOf(recipe.Model is FolderStartSection folder ? folder.Tokenizer ?? folder.Path : ((Gpt2StartSection)recipe.Model).Tokenizer, model, chat: null));

    /// <summary>Whether a recipe's rows are conversations: they are in a column of messages, or prompt or completion are messages.</summary>
    public static bool Are(TextsSection data, IReadOnlyList<DataRow> rows) =>
        data.MessagesColumn is not null || (data.PromptColumn is { } prompt && rows is [var first, ..] && (first[prompt] is IReadOnlyList<object?> || first[data.Column] is IReadOnlyList<object?>));

    /// <summary>What is learned of rows, in their order.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="count">How many there are.</param>
    /// <param name="path">What they are called.</param>
    /// <param name="notes">Gets a line about those that are left out.</param>
    /// <exception cref="InputException">A row is malformed, the template refuses it, or none is left.</exception>
    public IReadOnlyList<TaughtRow> Encode(IEnumerable<DataRow> rows, int count, string path, List<string> notes)
    {
        var dropped = new DroppedRows();
        var taught = new List<TaughtRow>();
        foreach (var row in rows)
        {
            TaughtRow[] learned = [.. Of(row).Select(TaughtRow.Of).OfType<TaughtRow>()];
            TaughtRow[] fitting = [.. learned.Where(one => one.Row.Response.Length <= model.Model.Shape.Room(one.Row.Prompt.Length))];
            taught.AddRange(fitting);
            if (learned.Length == 0) dropped.Add("there is no turn to learn", row);
            else if (fitting.Length < learned.Length) dropped.Add($"{(fitting.Length == 0 ? "the conversation does" : "later turns do")} not fit {model.Model.Shape.Limits}", row);
        }

        if (dropped.Line(count) is not { } line) return taught;
        if (taught.Count == 0) throw new InputException($"{path}: no conversation is left: {line}");
        notes.Add($"{path}: {line}");
        return taught;
    }

    private IReadOnlyList<TaughtConversation> Of(DataRow row)
    {
        var data = recipe.Data;
        var (messages, from) = data.MessagesColumn is { } column ? (ConversationReader.ReadKnownRoles(row, column), 0) : PromptAndCompletion(row, data.PromptColumn!, data.Column);
        try
        {
            return _encoder.EncodeTaught(messages, data.TrainOn ?? TaughtTurns.Assistant, from);
        }
        catch (InputException refused)
        {
            throw new InputException($"{row.Location}: {refused.Message}", refused);
        }
    }

    private static (IReadOnlyList<ChatMessage> Messages, int From) PromptAndCompletion(DataRow row, string promptColumn, string column)
    {
        var prompt = Messages(row, promptColumn, "user");
        var completion = Messages(row, column, ChatMessage.Assistant);
        if (completion[^1].Role != ChatMessage.Assistant) throw row.Invalid(column, $"it ends with the {completion[^1].Role}'s turn; what is learned is the assistant's");
        return ([.. prompt, .. completion], prompt.Count);
    }

    private static IReadOnlyList<ChatMessage> Messages(DataRow row, string column, string role) => row[column] is string text ? [new ChatMessage(role, text)] : ConversationReader.ReadKnownRoles(row, column);
}
