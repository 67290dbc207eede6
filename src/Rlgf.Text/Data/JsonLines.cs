using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Rlgf.Base;

namespace Rlgf.Text.Data;

/// <summary>Reads and writes JSON lines: UTF-8, one object a line. The path "-" stands for standard input and output.</summary>
public static class JsonLines
{
    /// <summary>How rows are written: snake_case names, characters as themselves, what is not known (NaN) as null, and infinities as strings since JSON has none.</summary>
    public static JsonSerializerOptions WriteOptions { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new NaNAsNull<double>(), new NaNAsNull<float>() },
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    private const string BeyondRange = "9e999999";

    /// <summary>Strings, which are passed over, and the names outside them.</summary>
    private static readonly Regex PythonNumbers = new("""
        "(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b
        """.Trim(), RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);

    private static readonly JsonDocumentOptions ReadOptions = new() { AllowDuplicateProperties = false };

    /// <summary>Reads rows one by one, as they are asked for. Blank lines are passed over; a file may be compressed with gzip.</summary>
    /// <param name="path">A file, or "-" for standard input.</param>
    /// <exception cref="InputException">The file can't be read, or a line isn't a JSON object; names the file and the line.</exception>
    public static IEnumerable<DataRow> Read(string path)
    {
        using var reader = TextInput.OpenText(path);
        foreach (var row in Read(reader, TextInput.NameOf(path)))
        {
            yield return row;
        }
    }

    /// <summary>Reads rows one by one from text that is open already.</summary>
    /// <param name="reader">The text; stays open.</param>
    /// <param name="source">What messages call it.</param>
    /// <exception cref="InputException">The text can't be read, or a line isn't a JSON object.</exception>
    public static IEnumerable<DataRow> Read(TextReader reader, string source)
    {
        RowShape? shape = null;
        var line = 0;
        var number = 0;
        while (NextLine(reader, source, ++line) is { } text)
        {
            if (!string.IsNullOrWhiteSpace(text))
            {
                yield return ParseRow(text, source, ++number, line, ref shape);
            }
        }
    }

    /// <summary>Opens a file (or "-", standard output) for rows. An existing file is replaced; its folder must exist.</summary>
    /// <exception cref="InputException">The file can't be written.</exception>
    public static JsonLinesWriter Create(string path)
    {
        try
        {
            var stream = path == TextInput.Standard ? Console.OpenStandardOutput() : new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read);
            return new JsonLinesWriter(path == TextInput.Standard ? "standard output" : path, stream);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: can't be written: {e.Message}", e);
        }
    }

    /// <summary>Writes all rows into a file, or to standard output for "-".</summary>
    /// <typeparam name="T">A record whose properties become the keys, in snake_case.</typeparam>
    public static void Write<T>(string path, IEnumerable<T> rows)
    {
        using var writer = Create(path);
        foreach (var row in rows)
        {
            writer.Write(row);
        }
    }

    private static string? NextLine(TextReader reader, string source, int line)
    {
        try
        {
            return reader.ReadLine();
        }
        catch (Exception e) when (TextInput.Explain(e, $"{source}:{line}") is { } explained)
        {
            throw explained;
        }
    }

    private static DataRow ParseRow(string text, string source, int number, int line, ref RowShape? shape)
    {
        try
        {
            using var document = ParseAsPythonWrites(text);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new InputException($"{source}:{line}: expected a JSON object, such as {{\"text\": \"…\"}}, found {KindOf(document.RootElement)}");
            }

            var properties = document.RootElement.EnumerateObject().ToArray();
            var names = Array.ConvertAll(properties, property => property.Name);
            if (shape is null || !names.AsSpan().SequenceEqual(shape.Columns))
            {
                shape = new RowShape(source, names);
            }

            return new DataRow(shape, Array.ConvertAll(properties, property => ToValue(property.Value)), number, line);
        }
        catch (JsonException e)
        {
            throw JsonFault.InLine(source, line, e);
        }
        catch (InvalidOperationException e)
        {
            throw new InputException($"{source}:{line}: a string holds half of a surrogate pair", e);
        }
    }

    /// <summary>
    /// Python writes NaN, Infinity and -Infinity, which JSON has none of, for numbers that it doesn't know. They stand for values that can't be read, so that a column nobody uses stops no file:
    /// here as numbers beyond all range, which JSON does have.
    /// </summary>
    private static JsonDocument ParseAsPythonWrites(string text)
    {
        try
        {
            return JsonDocument.Parse(text, ReadOptions);
        }
        catch (JsonException) when (WithoutPythonNumbers(text) is { } spelled)
        {
            try
            {
                return JsonDocument.Parse(spelled, ReadOptions);
            }
            catch (JsonException)
            {
                // Something else is wrong: it is said of the line as it is.
            }
        }

        return JsonDocument.Parse(text, ReadOptions);
    }

    /// <summary>The line with those names in JSON's spelling; null where it has none of them.</summary>
    private static string? WithoutPythonNumbers(string text)
    {
        var spelled = PythonNumbers.Replace(text, found => found.ValueSpan is "NaN" ? BeyondRange : found.ValueSpan is "Infinity" ? "1" + BeyondRange : found.ValueSpan is "-Infinity" ? "-1" + BeyondRange : found.Value);
        return spelled == text ? null : spelled;
    }

    private static object? ToValue(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => element.GetString(),
        JsonValueKind.Number => element.TryGetInt64(out var whole) ? (object)whole : element.GetDouble() is var number && double.IsFinite(number) ? (object)number : Beyond(element.GetRawText()),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Null => null,
        JsonValueKind.Array => element.EnumerateArray().Select(ToValue).ToArray(),
        _ => element.EnumerateObject().ToDictionary(property => property.Name, property => ToValue(property.Value)),
    };

    private static Unread Beyond(string number) => new(number switch
    {
        BeyondRange => "NaN",
        "1" + BeyondRange => "Infinity",
        "-1" + BeyondRange => "-Infinity",
        _ => $"the number {number}, which is beyond what a float64 can hold",
    });

    private static string KindOf(JsonElement element) => element.ValueKind == JsonValueKind.Object ? "an object" : DataRow.Describe(ToValue(element));
}

/// <summary>Writes rows as JSON lines, each with one write, so that a stopped program leaves whole lines up to the buffer's end.</summary>
public sealed class JsonLinesWriter : IDisposable
{
    private readonly string _name;
    private readonly StreamWriter _writer;

    internal JsonLinesWriter(string name, Stream stream)
    {
        _name = name;
        _writer = new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 1 << 16) { NewLine = "\n" };
    }

    /// <summary>Writes one row.</summary>
    /// <typeparam name="T">A record whose properties become the keys, in snake_case; nulls are left out.</typeparam>
    /// <exception cref="InputException">The disk is full or the file can't be written.</exception>
    public void Write<T>(T row) => Attempt(() => _writer.WriteLine(JsonSerializer.Serialize(row, JsonLines.WriteOptions)));

    /// <summary>Hands what was written to the operating system.</summary>
    public void Flush() => Attempt(_writer.Flush);

    /// <inheritdoc/>
    public void Dispose() => Attempt(_writer.Dispose);

    private void Attempt(Action write)
    {
        try
        {
            write();
        }
        catch (IOException e)
        {
            throw new InputException($"{_name}: can't be written: {e.Message}", e);
        }
    }
}
