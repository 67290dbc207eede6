using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Rlgf.Text.Metrics;

/// <summary>How BLEU splits a text into tokens, by the names of sacreBLEU.</summary>
public enum BleuTokenizer
{
    /// <summary><c>13a</c>, that of the WMT's script mteval-v13a.</summary>
    Mteval13a,

    /// <summary><c>intl</c>: punctuation and symbols of all scripts are tokens of their own.</summary>
    International,

    /// <summary><c>char</c>: each character that is no white space.</summary>
    Characters,

    /// <summary><c>none</c>: what lies between white space.</summary>
    None,
}

/// <summary>Splits texts for <see cref="Bleu"/>.</summary>
public static partial class BleuTokenizers
{
    /// <summary>The tokens of a text.</summary>
    public static IReadOnlyList<string> Tokens(BleuTokenizer tokenizer, string text) => tokenizer switch
    {
        BleuTokenizer.Mteval13a => PythonText.Split(Mteval13a(text)),
        BleuTokenizer.International => PythonText.Split(International(text)),
        BleuTokenizer.Characters => [.. PythonText.Split(text).SelectMany(word => word.EnumerateRunes()).Select(rune => rune.ToString())],
        _ => PythonText.Split(text),
    };

    private static string Mteval13a(string text)
    {
        text = text.Replace("<skipped>", "", StringComparison.Ordinal).Replace("-\n", "", StringComparison.Ordinal).Replace('\n', ' ');
        return SplitPoints(SplitSymbols($" {Unescape(text)} "));
    }

    /// <summary>Reads four entities of HTML, one after another, so that what one of them gives may be part of the next.</summary>
    internal static string Unescape(string text) => !text.Contains('&', StringComparison.Ordinal)
        ? text
        : text.Replace("&quot;", "\"", StringComparison.Ordinal).Replace("&amp;", "&", StringComparison.Ordinal)
            .Replace("&lt;", "<", StringComparison.Ordinal).Replace("&gt;", ">", StringComparison.Ordinal);

    /// <summary>Spaces around ASCII's punctuation other than apostrophes, dashes, points and commas.</summary>
    internal static string SplitSymbols(string text) => AsciiSymbol().Replace(text, " $1 ");

    /// <summary>Spaces around points and commas that are not within numbers, and behind dashes that follow a digit.</summary>
    internal static string SplitPoints(string text)
    {
        text = PointAfterOther().Replace(text, "$1 $2 ");
        text = PointBeforeOther().Replace(text, " $1 $2");
        return DashAfterDigit().Replace(text, "$1 $2 ");
    }

    private static string International(string text)
    {
        // Runes rather than regular expressions, which see a symbol beyond U+FFFF as two characters.
        var runes = text.EnumerateRunes().ToList();
        runes = Pairs(runes, rune => !IsNumber(rune), IsPunctuation, (first, second) => [first, Space, second, Space]);
        runes = Pairs(runes, IsPunctuation, rune => !IsNumber(rune), (first, second) => [Space, first, Space, second]);
        var result = new StringBuilder(text.Length * 2);
        foreach (var rune in runes)
        {
            if (IsSymbol(rune)) result.Append(' ').Append(rune.ToString()).Append(' ');
            else result.Append(rune.ToString());
        }

        return result.ToString();
    }

    private static readonly Rune Space = new(' ');

    /// <summary>Replaces pairs of neighbours from left to right, none of which overlap.</summary>
    private static List<Rune> Pairs(List<Rune> runes, Func<Rune, bool> first, Func<Rune, bool> second, Func<Rune, Rune, Rune[]> replacement)
    {
        var result = new List<Rune>(runes.Count * 2);
        for (var at = 0; at < runes.Count; at++)
        {
            if (at + 1 < runes.Count && first(runes[at]) && second(runes[at + 1])) result.AddRange(replacement(runes[at], runes[++at]));
            else result.Add(runes[at]);
        }

        return result;
    }

    private static bool IsNumber(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    private static bool IsPunctuation(Rune rune) => Rune.IsPunctuation(rune);

    private static bool IsSymbol(Rune rune) => Rune.IsSymbol(rune);

    // All of ASCII's punctuation but ' - . and the comma; the space is one of them, and is collapsed later.
    [GeneratedRegex(@"([{-~\[-` -&(-+:-@/])")]
    private static partial Regex AsciiSymbol();

    [GeneratedRegex("([^0-9])([.,])")]
    private static partial Regex PointAfterOther();

    [GeneratedRegex("([.,])([^0-9])")]
    private static partial Regex PointBeforeOther();

    [GeneratedRegex("([0-9])(-)")]
    private static partial Regex DashAfterDigit();
}
