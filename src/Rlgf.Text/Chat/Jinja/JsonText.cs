using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Rlgf.Text.Chat.Jinja;

/// <summary>JSON as Python's <c>json.dumps(…, ensure_ascii=False)</c> writes it, which is what the transformers library's <c>tojson</c> does.</summary>
internal static class JsonText
{
    /// <summary>Writes a value.</summary>
    /// <param name="value">The value.</param>
    /// <param name="indent">Spaces to a level, one element to a line; null for all on one line.</param>
    /// <returns>The text, or null where something in it has no place in JSON.</returns>
    public static string? Of(object? value, int? indent)
    {
        var text = new StringBuilder();
        return Write(value, text, indent, 0) ? text.ToString() : null;
    }

    private static bool Write(object? value, StringBuilder text, int? indent, int level)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (text.Length > Values.MostParts)
            throw new TemplateLimitException("writes a value that is too large");
        switch (value)
        {
            case null:
                text.Append("null");
                return true;
            case bool flag:
                text.Append(flag ? "true" : "false");
                return true;
            case long number:
                text.Append(number);
                return true;
            case double number when double.IsFinite(number):
                text.Append(Values.Spelled(number));
                return true;
            case string characters:
                Quote(characters, text);
                return true;
            case List<object?> list:
                return Group('[', ']', list.Select(item => (Key: (string?)null, item)), text, indent, level);
            case OrderedDictionary<string, object?> map:
                return Group('{', '}', map.Select(entry => ((string?)entry.Key, entry.Value)), text, indent, level);
            default:
                return false;
        }
    }

    private static bool Group(char open, char close, IEnumerable<(string? Key, object? Value)> items, StringBuilder text, int? indent, int level)
    {
        text.Append(open);
        var first = true;
        foreach (var (key, value) in items)
        {
            if (!first)
                text.Append(indent is null ? ", " : ",");
            first = false;
            NewLine(level + 1);
            if (key is not null)
            {
                Quote(key, text);
                text.Append(": ");
            }
            if (!Write(value, text, indent, level + 1))
                return false;
        }
        if (!first)
            NewLine(level);
        text.Append(close);
        return true;

        void NewLine(int depth)
        {
            if (indent is { } spaces)
                text.Append('\n').Append(' ', spaces * depth);
        }
    }

    private static void Quote(string characters, StringBuilder text)
    {
        text.Append('"');
        foreach (var character in characters)
        {
            text.Append(character switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\b' => "\\b",
                '\f' => "\\f",
                < ' ' => string.Create(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}"),
                _ => character.ToString(),
            });
        }
        text.Append('"');
    }
}
