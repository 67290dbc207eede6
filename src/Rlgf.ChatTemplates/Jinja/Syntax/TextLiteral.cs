using System.Globalization;
using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>What stands between quotes in a template, its escapes read as Python reads them.</summary>
internal static class TextLiteral
{
    /// <summary>The text that a literal stands for.</summary>
    /// <param name="spelled">What is between the quotes.</param>
    /// <param name="line">Where it stands.</param>
    /// <exception cref="TemplateException">An escape isn't whole.</exception>
    public static string Read(string spelled, int line)
    {
        var text = new StringBuilder(spelled.Length);
        for (var at = 0; at < spelled.Length;)
        {
            if (spelled[at] != '\\')
                text.Append(spelled[at++]);
            else
                text.Append(ReadEscape(spelled, ref at, line));
        }
        return text.ToString();
    }

    private static string ReadEscape(string spelled, ref int at, int line)
    {
        var kind = spelled[at + 1];
        at += 2;
        switch (kind)
        {
            case '\n':
                return "";
            case '\\' or '\'' or '"':
                return kind.ToString();
            case >= '0' and <= '7':
                var start = at - 1;
                while (at < spelled.Length && at < start + 3 && spelled[at] is >= '0' and <= '7')
                    at++;
                return CodePoints.Text(Convert.ToInt32(spelled[start..at], 8));
            case 'x':
                return Hexadecimal(spelled, ref at, 2, line);
            case 'u':
                return Hexadecimal(spelled, ref at, 4, line);
            case 'U':
                return Hexadecimal(spelled, ref at, 8, line);
            case 'N':
                return Named(spelled, ref at, line);
        }
        var simple = "abfnrtv".IndexOf(kind, StringComparison.Ordinal);
        if (simple >= 0)
            return "\a\b\f\n\r\t\v"[simple].ToString();
        // Jinja writes other characters by their number before it reads escapes, so that those behind a backslash stay so.
        if (kind < 128)
            return $"\\{kind}";
        at--;
        var character = CodePoints.At(spelled, at);
        at += CodePoints.Width(spelled, at);
        return PythonText.Escaped(character);
    }

    private static string Hexadecimal(string spelled, ref int at, int digits, int line)
    {
        var text = spelled.AsSpan(at, Math.Min(digits, spelled.Length - at));
        if (text.Length < digits || !int.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code) || code is < 0 or > 0x10FFFF)
            throw new TemplateException($"has an escape in a text that isn't {digits} hexadecimal digits of a character", line);
        at += digits;
        return CodePoints.Text(code);
    }

    private static string Named(string spelled, ref int at, int line)
    {
        var end = at < spelled.Length && spelled[at] == '{' ? spelled.IndexOf('}', at) : -1;
        if (end < 0)
            throw new TemplateException("has \\N in a text without a name in braces", line);
        var name = spelled[(at + 1)..end];
        at = end + 1;
        return UnicodeData.Named(name) is { } code ? CodePoints.Text(code) : throw new TemplateException($"has the unknown character name '{name}' in a text", line);
    }
}
