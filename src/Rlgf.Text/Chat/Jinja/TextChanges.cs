using System.Globalization;
using System.Text;

namespace Rlgf.Text.Chat.Jinja;

/// <summary>Changes of text that both methods and filters offer.</summary>
internal static class TextChanges
{
    /// <summary>The first letter large, all others small.</summary>
    public static string Capitalized(string text) =>
        text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..].ToLowerInvariant();

    /// <summary>The first letter of every word large, all others small.</summary>
    public static string Title(string text)
    {
        var title = new StringBuilder(text.Length);
        var inWord = false;
        foreach (var character in text)
        {
            title.Append(inWord ? char.ToLower(character, CultureInfo.InvariantCulture) : char.ToUpper(character, CultureInfo.InvariantCulture));
            inWord = char.IsLetter(character);
        }
        return title.ToString();
    }

    /// <summary>Replaces a text by another, at most a number of times where one is given.</summary>
    public static string Replace(string text, string old, string replacement, object? most, Rendering rendering, int line)
    {
        var left = Values.Integer(most) is { } limit and >= 0 ? limit : long.MaxValue;
        if (old.Length == 0)
            throw rendering.Error(line, "replaces an empty text, which isn't supported");
        var result = new StringBuilder(text.Length);
        var done = 0;
        for (int at; left > 0 && (at = text.IndexOf(old, done, StringComparison.Ordinal)) >= 0; left--)
        {
            rendering.Step(line);
            result.Append(text, done, at - done).Append(replacement);
            rendering.RequireSize(result.Length, line);
            done = at + old.Length;
        }
        return result.Append(text, done, text.Length - done).ToString();
    }

    /// <summary>Splits at a separator, or at runs of white space where that is null; at most a number of times where that isn't negative.</summary>
    public static List<object?> Split(string text, string? separator, long most, Rendering rendering, int line)
    {
        if (separator is "")
            throw rendering.Error(line, "splits at an empty text");
        rendering.Step(line, text.Length / 8);
        var count = most < 0 ? int.MaxValue : (int)Math.Min(most + 1, int.MaxValue);
        if (separator is not null)
            return [.. text.Split(separator, count)];
        var words = new List<object?>();
        for (var start = Next(0, isSpace: false); start < text.Length;)
        {
            rendering.Step(line);
            if (words.Count + 1 == count)
            {
                words.Add(text[start..].TrimEnd());
                break;
            }
            var end = Next(start, isSpace: true);
            words.Add(text[start..end]);
            start = Next(end, isSpace: false);
        }
        return words;

        int Next(int at, bool isSpace)
        {
            while (at < text.Length && char.IsWhiteSpace(text[at]) != isSpace)
                at++;
            return at;
        }
    }

    /// <summary>Puts spaces before every line but, unless asked to, the first; empty lines stay.</summary>
    public static string Indent(string text, string indentation, bool first, bool blank)
    {
        var lines = text.Split('\n');
        for (var i = first ? 0 : 1; i < lines.Length; i++)
            lines[i] = lines[i].Length > 0 || blank ? indentation + lines[i] : lines[i];
        return string.Join('\n', lines);
    }
}
