using System.Net;
using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Text that is HTML already beside text that isn't.</summary>
internal static class Html
{
    /// <summary>A value as HTML: what isn't HTML already is escaped.</summary>
    public static string Escape(object? value)
    {
        if (value is Markup markup)
            return markup.Text;
        var escaped = new StringBuilder();
        foreach (var character in PythonText.Str(value))
        {
            escaped.Append(character switch
            {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '\'' => "&#39;",
                '"' => "&#34;",
                _ => character.ToString(),
            });
        }
        return escaped.ToString();
    }

    /// <summary>Two texts as one: HTML where one of them is.</summary>
    public static object Joined(object? left, object? right, Rendering rendering)
    {
        var isHtml = left is Markup || right is Markup;
        var (first, second) = isHtml ? (Escape(left), Escape(right)) : (PythonText.AsText(left)!, PythonText.AsText(right)!);
        rendering.RequireSize((long)first.Length + second.Length);
        // Text that grows by a little at a time is copied every time.
        rendering.Step((first.Length + second.Length) / 1024);
        return isHtml ? new Markup(first + second) : first + second;
    }

    /// <summary>A text without comments and tags, runs of white space as one space, entities as what they stand for.</summary>
    public static string WithoutTags(string text, Rendering rendering)
    {
        foreach (var (open, close) in (ReadOnlySpan<(string, string)>)[("<!--", "-->"), ("<", ">")])
        {
            var isOpen = true;
            for (var start = 0; isOpen && (start = text.IndexOf(open, StringComparison.Ordinal)) >= 0;)
            {
                rendering.Step(1 + text.Length / 1024);
                var end = text.IndexOf(close, start, StringComparison.Ordinal);
                isOpen = end >= 0;
                if (isOpen)
                    text = text.Remove(start, end + close.Length - start);
            }
        }
        return WebUtility.HtmlDecode(string.Join(' ', TextSplitting.Words(text, -1)));
    }
}
