using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Rlgf.Rollouts;

namespace Rlgf.Runs;

/// <summary>Means of one evaluation, without its rows.</summary>
internal sealed record EvaluationMeans(int Iteration, Actor Writer, IReadOnlyDictionary<string, double> Metrics);

/// <summary>Flat rows of metrics.jsonl and evaluation.jsonl: a few named fields, then metric names with their values, so that any tool reads them as a table.</summary>
internal static class MetricRow
{
    private static readonly string[] IterationFields =
        ["iteration", "roll_in", "roll_out", "roll_in_probability", "roll_in_lengths", "guide_credit"];

    private static readonly string[] EvaluationFields = ["iteration", "writer"];

    private static readonly string[] StepFields = ["step"];

    /// <summary>One line of metrics.jsonl.</summary>
    public static string Format(IterationRecord record) => Format(record.Metrics, IterationFields, json =>
    {
        json.WriteNumber("iteration", record.Iteration);
        json.WriteString("roll_in", Word(record.Plan.RollIn));
        json.WriteString("roll_out", Word(record.Plan.RollOut));
        json.WriteNumber("roll_in_probability", record.Plan.RollInProbability);
        json.WriteString("roll_in_lengths", Word(record.Plan.Lengths));
        json.WriteNumber("guide_credit", record.Plan.GuideCredit);
    });

    /// <summary>One line of evaluation.jsonl.</summary>
    public static string Format(EvaluationMeans means) => Format(means.Metrics, EvaluationFields, json =>
    {
        json.WriteNumber("iteration", means.Iteration);
        json.WriteString("writer", Word(means.Writer));
    });

    /// <summary>One line of metrics.jsonl or evaluation.jsonl of a supervised training.</summary>
    public static string Format(StepRecord record) => Format(record.Metrics, StepFields, json => json.WriteNumber("step", record.Step));

    /// <summary>Reads one line of metrics.jsonl or evaluation.jsonl of a supervised training.</summary>
    public static StepRecord ParseStep(string line) => Parse(line, StepFields, (row, metrics) => new StepRecord(Field(row, "step").GetInt32(), metrics));

    /// <summary>Reads one line of metrics.jsonl.</summary>
    public static IterationRecord ParseIteration(string line) => Parse(line, IterationFields, (row, metrics) => new IterationRecord(
        Field(row, "iteration").GetInt32(),
        new RolloutPlan(Word<Actor>(row, "roll_in"), Word<Actor>(row, "roll_out"), Field(row, "roll_in_probability").GetDouble(),
            Word<RollInLengths>(row, "roll_in_lengths"), Field(row, "guide_credit").GetDouble()),
        metrics));

    /// <summary>Reads one line of evaluation.jsonl.</summary>
    public static EvaluationMeans ParseEvaluation(string line) => Parse(line, EvaluationFields,
        (row, metrics) => new EvaluationMeans(Field(row, "iteration").GetInt32(), Word<Actor>(row, "writer"), metrics));

    private static string Format(IReadOnlyDictionary<string, double> metrics, string[] fields, Action<Utf8JsonWriter> writeFields)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            writeFields(json);
            foreach (var (name, value) in metrics)
            {
                if (fields.Contains(name)) throw new ArgumentException($"a metric can't be called '{name}': the row has a field of that name", nameof(metrics));
                if (double.IsFinite(value)) json.WriteNumber(name, value);
                else json.WriteNull(name);
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }

    private static T Parse<T>(string line, string[] fields, Func<JsonElement, IReadOnlyDictionary<string, double>, T> make)
    {
        using var document = JsonDocument.Parse(line);
        if (document.RootElement.ValueKind != JsonValueKind.Object) throw new JsonException("not a JSON object");
        try
        {
            var metrics = new Dictionary<string, double>();
            foreach (var property in document.RootElement.EnumerateObject())
            {
                if (fields.Contains(property.Name)) continue;
                var value = property.Value.ValueKind switch
                {
                    JsonValueKind.Number => property.Value.GetDouble(),
                    JsonValueKind.Null => double.NaN,
                    _ => throw new JsonException($"'{property.Name}' is neither a number nor null"),
                };
                if (!metrics.TryAdd(property.Name, value)) throw new JsonException($"'{property.Name}' is there twice");
            }
            return make(document.RootElement, metrics);
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException)
        {
            throw new JsonException("a field has the wrong type", e);
        }
    }

    private static JsonElement Field(JsonElement row, string name) =>
        row.TryGetProperty(name, out var value) ? value : throw new JsonException($"'{name}' is missing");

    private static string Word<T>(T value) where T : struct, Enum => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());

    private static T Word<T>(JsonElement row, string name) where T : struct, Enum
    {
        var word = Field(row, name).GetString();
        foreach (var value in Enum.GetValues<T>())
        {
            if (Word(value) == word) return value;
        }
        throw new JsonException($"'{name}' is '{word}', not one of {string.Join(", ", Enum.GetValues<T>().Select(Word))}");
    }
}
