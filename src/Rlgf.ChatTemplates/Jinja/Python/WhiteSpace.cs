using System.Buffers;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>White space as Python has it: that of .NET and the four separators of ASCII.</summary>
internal static class WhiteSpace
{
    private static readonly SearchValues<char> LineBreaks = SearchValues.Create("\n\r\v\f\u001c\u001d\u001e\u0085\u2028\u2029");

    /// <summary>Whether a character is white space.</summary>
    public static bool Is(char character) => char.IsWhiteSpace(character) || character is >= '\x1c' and <= '\x1f';

    /// <summary>A text without white space around it.</summary>
    public static string Trim(string text) => TrimStart(TrimEnd(text));

    /// <summary>A text without white space before it.</summary>
    public static string TrimStart(string text)
    {
        var start = 0;
        while (start < text.Length && Is(text[start]))
            start++;
        return text[start..];
    }

    /// <summary>A text without white space after it.</summary>
    public static string TrimEnd(string text)
    {
        var end = text.Length;
        while (end > 0 && Is(text[end - 1]))
            end--;
        return text[..end];
    }

    /// <summary>The lines of a text, by all characters that Python breaks lines at.</summary>
    /// <param name="text">The text.</param>
    /// <param name="keepEnds">Whether the line breaks stay.</param>
    public static List<string> Lines(string text, bool keepEnds = false)
    {
        var lines = new List<string>();
        for (var start = 0; start < text.Length;)
        {
            var length = text.AsSpan(start).IndexOfAny(LineBreaks);
            var end = length < 0 ? text.Length : start + length;
            var next = end == text.Length ? end : text[end] == '\r' && end + 1 < text.Length && text[end + 1] == '\n' ? end + 2 : end + 1;
            lines.Add(text[start..(keepEnds ? next : end)]);
            start = next;
        }
        return lines;
    }
}
