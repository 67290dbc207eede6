using System.Net;
using System.Text;

namespace Rlgf.App.Report;

/// <summary>Makes any text safe between tags and in quoted attributes.</summary>
internal static class HtmlText
{
    /// <summary>Escapes what means something to HTML, and shows control characters, which browsers drop or take for markup, by their pictures (U+2400 and on).</summary>
    public static string Escape(string text) => WebUtility.HtmlEncode(ShowControls(text));

    /// <summary>As <see cref="Escape(string)"/>, shortened to so many characters, the rest as an ellipsis.</summary>
    public static string Escape(string text, int most)
    {
        if (text.Length <= most) return Escape(text);
        // Not between the halves of a surrogate pair.
        var length = char.IsHighSurrogate(text[most - 1]) ? most - 1 : most;
        return Escape(text[..length]) + " …";
    }

    /// <summary>Embeddings, overrides and isolates: one without its end would turn around the text of the page after it.</summary>
    private static bool TurnsDirection(char c) => c is (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069');

    private static string ShowControls(string text)
    {
        StringBuilder? shown = null;
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (c is '\n' or '\t' || (!char.IsControl(c) && !TurnsDirection(c))) continue;
            shown ??= new StringBuilder(text);
            shown[i] = c switch { < ' ' => (char)('\u2400' + c), '\u007F' => '\u2421', _ => '\uFFFD' };
        }
        return shown?.ToString() ?? text;
    }
}
