using System.Text;
using Casing = Rlgf.ChatTemplates.Jinja.Casing;
using WhiteSpace = Rlgf.ChatTemplates.Jinja.WhiteSpace;

namespace Rlgf.Text.Metrics;

/// <summary>Lower case and words as Python has them, in which the reference implementations of text metrics are written.</summary>
public static class PythonText
{
    /// <summary><c>str.split()</c>: the pieces between runs of white space, none of them empty.</summary>
    public static IReadOnlyList<string> Split(string text)
    {
        var pieces = new List<string>();
        for (var at = 0; at < text.Length;)
        {
            if (WhiteSpace.Is(text[at]))
            {
                at++;
                continue;
            }

            var start = at;
            while (at < text.Length && !WhiteSpace.Is(text[at])) at++;
            pieces.Add(text[start..at]);
        }

        return pieces;
    }

    /// <summary><c>str.strip()</c>.</summary>
    public static string Trim(string text) => WhiteSpace.Trim(text);

    /// <summary><c>str.rstrip()</c>.</summary>
    public static string TrimEnd(string text) => WhiteSpace.TrimEnd(text);

    /// <summary><c>str.lower()</c>: Unicode's full mapping, by which one character may become two.</summary>
    public static string Lower(string text) => Ascii.IsValid(text) ? text.ToLowerInvariant() : Casing.Lower(text);
}
