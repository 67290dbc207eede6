using System.Globalization;
using System.Text.Json;
using Rlgf.Base;
using Rlgf.Models.Generation;

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

    /// <summary>What stands before the names of fields in messages: the object that they are in.</summary>
    private string _prefix = "";

    /// <summary>Takes a body.</summary>
    /// <exception cref="RequestException">It isn't an object.</exception>
    public RequestFields(JsonElement body) => _body = body.ValueKind == JsonValueKind.Object ? body : throw new RequestException(null, $"the body must be a JSON object; it is {Kind(body)}");

    /// <summary>A field's value; null where there is none.</summary>
    public JsonElement? Value(string field) => _body.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>A text.</summary>
    public string? Text(string field) => Value(field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => Text(field, value),
        { } value => throw Wrong(field, "a text", value),
    };

    /// <summary>What a JSON string says.</summary>
    /// <exception cref="RequestException">It is no Unicode: half of a pair of surrogates stands alone.</exception>
    public static string Text(string field, JsonElement text)
    {
        try
        {
            return text.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw NoUnicode(field);
        }
    }

    /// <summary>A text that is none.</summary>
    public static RequestException NoUnicode(string field) => new(field, $"{field}: is no text in Unicode: half a character (a surrogate alone) stands in it");

    /// <summary>True or false.</summary>
    public bool? Flag(string field) => Value(field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw Wrong(_prefix + field, "true or false", value),
    };

    /// <summary>A number within limits; <paramref name="expected"/> says what they are, where that is more than two numbers.</summary>
    public double? Number(string field, double least, double most, string? expected = null) => Value(field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } value when value.TryGetDouble(out var number) && number >= least && number <= most => number,
        { } value => throw Wrong(field, expected ?? string.Create(CultureInfo.InvariantCulture, $"a number from {least} to {most}"), value),
    };

    /// <summary>A number above 0 and at most 1.</summary>
    public double? Share(string field) => Number(field, double.Epsilon, 1, "a number above 0 and at most 1");

    /// <summary>What logits may be divided by; where 0 is one, it stands for something else.</summary>
    public double? Factor(string field, bool zero = false)
    {
        if (zero && Value(field) is { ValueKind: JsonValueKind.Number } value && value.TryGetDouble(out var number) && number == 0) return 0;
        var expected = string.Create(CultureInfo.InvariantCulture, $"{(zero ? "0 or " : "")}a number from {SamplingSettings.LeastFactor} to {SamplingSettings.MostFactor}");
        return Number(field, SamplingSettings.LeastFactor, SamplingSettings.MostFactor, expected);
    }

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
        { ValueKind: JsonValueKind.String } value => [Text(field, value)],
        { ValueKind: JsonValueKind.Array } value when value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) => [.. value.EnumerateArray().Select(item => Text(field, item))],
        { } value => throw Wrong(field, "a text or a list of texts", value),
    };

    /// <summary>The fields of an object.</summary>
    public RequestFields? Section(string field) => Value(field) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } value => new(value) { _prefix = $"{_prefix}{field}." },
        { } value => throw Wrong(field, "an object", value),
    };

    /// <summary>Does something with a field: what can't be done is the field's fault.</summary>
    public static T Of<T>(string field, Func<T> act)
    {
        try
        {
            return act();
        }
        catch (InputException wrong)
        {
            throw new RequestException(field, wrong.Message);
        }
    }

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
