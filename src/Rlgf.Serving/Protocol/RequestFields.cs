using System.Globalization;
using System.Text.Json;
using Rlgf.Base;

namespace Rlgf.Serving.Protocol;

/// <summary>What a field of a request should have been, for the one who sent it.</summary>
/// <param name="field">The field; null where it is about the body.</param>
/// <param name="message">One line.</param>
internal sealed class RequestException(string? field, string message) : Exception(message)
{
    /// <summary>The field; null where it is about the body.</summary>
    public string? Field { get; } = field;

    /// <summary>HTTP's status.</summary>
    public int Status { get; init; } = 400;

    /// <summary>A word for programs; null for none.</summary>
    public string? Code { get; init; }
}

/// <summary>The fields of a request's JSON object. A field that is null is as one that isn't there; one that nobody asks for is passed over.</summary>
internal sealed class RequestFields
{
    private readonly JsonElement _body;

    /// <summary>Takes a body.</summary>
    /// <exception cref="RequestException">It isn't an object.</exception>
    public RequestFields(JsonElement body) => _body = body.ValueKind == JsonValueKind.Object ? body : throw new RequestException(null, $"the body must be a JSON object; it is {Kind(body)}");

    /// <summary>A field's value; null where there is none.</summary>
    public JsonElement? Value(string field) => _body.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>A text.</summary>
    public string? Text(string field) => Value(field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        { } value => throw Wrong(field, "a text", value),
    };

    /// <summary>True or false.</summary>
    public bool? Flag(string field) => Value(field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw Wrong(field, "true or false", value),
    };

    /// <summary>A number within limits.</summary>
    public double? Number(string field, double least, double most) => Value(field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } value when value.TryGetDouble(out var number) && number >= least && number <= most => number,
        { } value => throw Wrong(field, string.Create(CultureInfo.InvariantCulture, $"a number from {least} to {most}"), value),
    };

    /// <summary>A whole number within limits; 3.0 is one.</summary>
    public long? Whole(string field, long least = long.MinValue, long most = long.MaxValue) => Value(field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } value when WholeOf(value) is { } number && number >= least && number <= most => number,
        { } value => throw Wrong(field, least == long.MinValue ? "a whole number" : most >= int.MaxValue ? string.Create(CultureInfo.InvariantCulture, $"a whole number, {least} or more") : string.Create(CultureInfo.InvariantCulture, $"a whole number from {least} to {most}"), value),
    };

    /// <summary>As <see cref="Whole"/>, for what is counted.</summary>
    public int? Count(string field, int least = 0, int most = int.MaxValue) => (int?)Whole(field, least, most);

    /// <summary>A text or a list of texts.</summary>
    public IReadOnlyList<string> Texts(string field) => Value(field) switch
    {
        null => [],
        { ValueKind: JsonValueKind.String } value => [value.GetString()!],
        { ValueKind: JsonValueKind.Array } value when value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) => [.. value.EnumerateArray().Select(item => item.GetString()!)],
        { } value => throw Wrong(field, "a text or a list of texts", value),
    };

    /// <summary>A list of ids.</summary>
    public int[]? Ids(string field) => Value(field) is { } value ? Ids(value) ?? throw Wrong(field, "a list of token ids", value) : null;

    /// <summary>The ids of a list; null where it holds something else.</summary>
    public static int[]? Ids(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array) return null;
        var ids = new int[value.GetArrayLength()];
        for (var i = 0; i < ids.Length; i++)
        {
            if (value[i].ValueKind != JsonValueKind.Number || !value[i].TryGetInt32(out ids[i])) return null;
        }

        return ids;
    }

    /// <summary>Refuses what would change the answer and isn't done here.</summary>
    /// <param name="field">The field.</param>
    /// <param name="isNeutral">Whether a value asks for nothing.</param>
    public void RequireNeutral(string field, Func<JsonElement, bool> isNeutral)
    {
        if (Value(field) is { } value && !isNeutral(value)) throw new RequestException(field, $"{field}: {Shown(value)} is not supported by this server: leave it out");
    }

    /// <summary>What a field should have been.</summary>
    public static RequestException Wrong(string field, string expected, JsonElement found) => new(field, $"{field}: expected {expected}, found {Shown(found)}");

    private static long? WholeOf(JsonElement value) => value.TryGetInt64(out var whole) ? whole : value.TryGetDouble(out var real) && real == Math.Truncate(real) && Math.Abs(real) <= 1L << 53 ? (long)real : null;

    private static string Shown(JsonElement value) => value.ValueKind is JsonValueKind.Object or JsonValueKind.Array ? Kind(value) : value.GetRawText() is { Length: <= 40 } text ? text : $"{value.GetRawText()[..40]}…";

    private static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "true or false",
    };
}
