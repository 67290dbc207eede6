using System.Buffers;
using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Filters about HTML and addresses.</summary>
internal static class MarkupFilters
{
    private static readonly SearchValues<char> NotInNames = SearchValues.Create(" \t\n\r\f\v/>=");

    /// <summary>The filters by name.</summary>
    public static FunctionTable Table { get; } = new()
    {
        { "e", "s, /", call => new Markup(Html.Escape(call[0])) },
        { "escape", "s, /", call => new Markup(Html.Escape(call[0])) },
        { "forceescape", "value", call => new Markup(Html.Escape(PythonText.Str(call[0]))) },
        { "safe", "value", call => new Markup(PythonText.Str(call[0])) },
        { "striptags", "value", call => Html.WithoutTags(PythonText.Str(call[0]), call.Rendering) },
        { "urlencode", "value", UrlEncode },
        { "xmlattr", "d, autospace=True", Attribute },
    };

    private static string UrlEncode(BoundCall call)
    {
        if (PythonText.AsText(call[0]) is not null || Iteration.Of(call[0], call.Rendering) is not { } items)
            return Quoted(PythonText.Str(call[0]), "/");
        if (call[0] is PythonDict dict)
            items = new DictView(dict, "items").Items;
        return string.Join('&', items.Select(item => Iteration.Of(item, call.Rendering)?.Take(3).ToList() is [var key, var value]
            ? $"{Query(key)}={Query(value)}"
            : throw call.Error("with something else than pairs")));

        string Query(object? value) => Quoted(PythonText.Str(value), "").Replace("%20", "+", StringComparison.Ordinal);
    }

    private static string Quoted(string text, string safe)
    {
        var quoted = new StringBuilder();
        foreach (var unit in Encoding.UTF8.GetBytes(text))
        {
            if (char.IsAsciiLetterOrDigit((char)unit) || "_.-~".Contains((char)unit, StringComparison.Ordinal) || safe.Contains((char)unit, StringComparison.Ordinal))
                quoted.Append((char)unit);
            else
                quoted.Append(System.Globalization.CultureInfo.InvariantCulture, $"%{unit:X2}");
        }
        return quoted.ToString();
    }

    private static object Attribute(BoundCall call)
    {
        var text = new StringBuilder();
        foreach (var (key, value) in call[0] as PythonDict ?? throw call.Wrong(0, "a dict"))
        {
            if (value is null or Undefined)
                continue;
            if (PythonText.AsText(key) is not { } name || name.AsSpan().IndexOfAny(NotInNames) >= 0)
                throw call.Error($"with {PythonText.Repr(key)}, which can't name an attribute");
            text.Append(text.Length > 0 || call.IsTrue(1) ? " " : "").Append($"{Html.Escape(key)}=\"{Html.Escape(value)}\"");
        }
        return call.Rendering.Escapes ? new Markup(text.ToString()) : text.ToString();
    }
}
