using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Text.Data;

namespace Rlgf.Rewards.Remote;

/// <summary>A response as another program is told of it, and the score that it answers.</summary>
internal static class RowJson
{
    private const int Shown = 60;

    /// <summary><c>{"prompt", "response", "ended", "references", "row"}</c>: the row's columns are those of the prompt's data row.</summary>
    public static JsonObject Of(Response response)
    {
        var columns = new JsonObject();
        if (response.Prompt.Row is { } row)
            foreach (var column in row.Columns) columns[column] = Value(row, column);
        return new JsonObject
        {
            ["prompt"] = response.Prompt.Text,
            ["response"] = response.Text,
            ["ended"] = response.Ended,
            ["references"] = new JsonArray([.. response.Prompt.References.Select(text => (JsonNode)text)]),
            ["row"] = columns,
        };
    }

    /// <summary>Reads a score: a number, or <c>{"score": 0.5, "parts": {"name": 1}}</c> with exactly the parts that the recipe names.</summary>
    /// <exception cref="RowFailure">It is something else.</exception>
    public static RewardScore Score(JsonElement answer, IReadOnlyList<string> parts)
    {
        try
        {
            return Read(answer, parts);
        }
        catch (InvalidOperationException)
        {
            throw new RowFailure($"it answered {Short(answer.GetRawText())}, which holds half of a surrogate pair");
        }
    }

    private static RewardScore Read(JsonElement answer, IReadOnlyList<string> parts)
    {
        var score = answer.ValueKind == JsonValueKind.Object && answer.TryGetProperty("score", out var inner) ? inner : answer;
        var named = answer.ValueKind == JsonValueKind.Object && answer.TryGetProperty("parts", out var given) && given.ValueKind == JsonValueKind.Object ? given : (JsonElement?)null;
        var total = Number(score) ?? throw new RowFailure($"it answered {Short(answer.GetRawText())}, which is neither a number nor {{\"score\": number}}");
        var values = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var part in named?.EnumerateObject().ToArray() ?? [])
            values[part.Name] = Number(part.Value) ?? throw new RowFailure($"its part '{part.Name}' is {Short(part.Value.GetRawText())}, which is no number");
        if (values.Count != parts.Count || !parts.All(values.ContainsKey))
            throw new RowFailure($"it answered {(values.Count == 0 ? "no parts" : $"the parts {string.Join(", ", values.Keys)}")}, and the recipe names {(parts.Count == 0 ? "none" : string.Join(", ", parts))}");
        return new RewardScore(total, values);
    }

    /// <summary>A text that somebody else wrote, in so far as one line of a message can hold it: without line ends and what else a terminal would obey.</summary>
    public static string Short(string text) => text.Length == 0 ? "nothing" : $"'{OneLine(text, Shown)}'";

    /// <summary>The same of a sentence that a server says, without quotation marks around it.</summary>
    /// <param name="text">The sentence.</param>
    /// <param name="most">The most characters of it.</param>
    public static string OneLine(string text, int most = 300) => OneLine(text.Length <= most ? text : text[..(most - (char.IsHighSurrogate(text[most - 1]) ? 1 : 0))] + "…");

    private static string OneLine(string text) => string.Create(text.Length, text, (line, from) =>
    {
        for (var i = 0; i < line.Length; i++) line[i] = char.IsControl(from[i]) || from[i] is '\u2028' or '\u2029' ? ' ' : from[i];
    });

    /// <summary>A number that training can compute with; null for all else.</summary>
    private static double? Number(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && float.IsFinite((float)number) ? number : null;

    private static JsonNode? Value(DataRow row, string column)
    {
        try
        {
            return JsonSerializer.SerializeToNode(row[column], JsonLines.WriteOptions);
        }
        catch (InputException)
        {
            // A value of a kind that isn't read, such as NaN, is null to the program as it is in files.
            return null;
        }
    }
}
