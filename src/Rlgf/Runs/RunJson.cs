using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Rlgf.Base;

namespace Rlgf.Runs;

/// <summary>The JSON of a run's folder: snake_case names, enums as words, a number that is not finite as null, and nothing missing or unknown when read.</summary>
internal static class RunJson
{
    /// <summary>One line, for jsonl.</summary>
    public static readonly JsonSerializerOptions Line = Create(indented: false);

    /// <summary>Indented, for files of their own.</summary>
    public static readonly JsonSerializerOptions Indented = Create(indented: true);

    /// <summary>Parses one JSON value.</summary>
    /// <exception cref="JsonException">Malformed, or with missing or unknown names.</exception>
    public static T Parse<T>(string json) => JsonSerializer.Deserialize<T>(json, Line) ?? throw new JsonException("null where a value is needed");

    /// <summary>One JSON value as a line.</summary>
    public static string ToLine<T>(T value) => JsonSerializer.Serialize(value, Line);

    /// <summary>Reads a file that is one JSON value.</summary>
    /// <exception cref="InputException">Not there or malformed.</exception>
    public static T ReadFile<T>(string path)
    {
        RunFolder.RequireFile(path);
        try
        {
            return Parse<T>(RegularFile.ReadText(path));
        }
        catch (JsonException e)
        {
            throw JsonFault.Of(path, e);
        }
    }

    /// <summary>Writes a file that is one JSON value.</summary>
    public static void WriteFile<T>(string path, T value) => AtomicFile.WriteText(path, JsonSerializer.Serialize(value, Indented) + "\n");

    private static JsonSerializerOptions Create(bool indented) => new()
    {
        WriteIndented = indented,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
        // Texts are read by people too: only what JSON itself demands is escaped.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false), new NaNAsNull() },
    };

    private sealed class NaNAsNull : JsonConverter<double>
    {
        public override bool HandleNull => true;

        public override double Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.Null ? double.NaN : reader.GetDouble();

        public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
        {
            if (double.IsFinite(value)) writer.WriteNumberValue(value);
            else writer.WriteNullValue();
        }
    }
}
