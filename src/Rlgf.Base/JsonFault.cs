using System.Text.Json;
using System.Text.RegularExpressions;

namespace Rlgf.Base;

/// <summary>What is wrong with a JSON text, in words of this project: where (file, line, byte) and what. .NET's own sentences name its types and count from 0.</summary>
public static partial class JsonFault
{
    /// <summary>The fault of a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="failure">What its reader said.</param>
    public static InputException Of(string path, JsonException failure) => new($"{path}{Place(failure)}", failure);

    /// <summary>The fault of one line of a file.</summary>
    /// <param name="source">The file.</param>
    /// <param name="line">The line, from 1.</param>
    /// <param name="failure">What the line's reader said.</param>
    public static InputException InLine(string source, long line, JsonException failure) => new($"{source}:{line}: {Words(failure)}", failure);

    /// <summary>A fault without the file, for what is said about it by others.</summary>
    public static string Words(JsonException failure) => IsAboutValues(failure) ? Reason(failure)
        : failure.BytePositionInLine is { } at ? $"not valid JSON at byte {at + 1}: {Reason(failure)}"
        // .NET gives no place of a key that is there twice; its sentences begin with a capital letter, this project's don't.
        : failure.Message is [>= 'A' and <= 'Z', ..] ? $"not valid JSON: {Reason(failure)}" : Reason(failure);

    private static string Place(JsonException failure) => failure.LineNumber is { } line ? $":{line + 1}: {Words(failure)}" : $": {Words(failure)}";

    /// <summary>Whether the text is JSON, and what it says is not what is expected.</summary>
    private static bool IsAboutValues(JsonException failure) => failure.Path is not null && failure.InnerException is not JsonException;

    private static string Reason(JsonException failure)
    {
        var text = failure.Message.ReplaceLineEndings(" ").Split(" Path: ")[0].Split(" LineNumber: ")[0].TrimEnd('.', ' ', '|');
        var path = failure.Path is { Length: > 2 } key ? key.TrimStart('$').TrimStart('.') : null;
        if (Unknown().Match(text) is { Success: true } unknown) return $"unknown key '{unknown.Groups[1].Value}'";
        if (Missing().Match(text) is { Success: true } missing) return $"missing key {missing.Groups[1].Value}";
        if (text.StartsWith("The JSON value could not be converted", StringComparison.Ordinal)) return path is null ? "the value has another type than is expected" : $"'{path}' has another type than is expected";
        if (text.Contains("null values", StringComparison.Ordinal) || text.Contains("doesn't allow null", StringComparison.Ordinal)) return path is null ? "null where a value is needed" : $"'{path}' is null, and a value is needed";
        return text.Length > 1 && char.IsUpper(text[0]) && char.IsLower(text[1]) ? char.ToLowerInvariant(text[0]) + text[1..] : text;
    }

    [GeneratedRegex(@"^The JSON property '([^']*)' could not be mapped")]
    private static partial Regex Unknown();

    [GeneratedRegex(@"missing required properties[^:]*: (.+)$")]
    private static partial Regex Missing();
}
