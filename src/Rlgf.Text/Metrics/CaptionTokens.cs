using System.Collections.Frozen;
using System.Text.RegularExpressions;

namespace Rlgf.Text.Metrics;

/// <summary>
/// The tokens that papers on captions compute BLEU, ROUGE-L and CIDEr of (pycocoevalcap's <c>PTBTokenizer</c>): those of the Penn Treebank, lower-cased, without punctuation.
/// </summary>
/// <remarks>
/// The reference is Stanford's lexer, a program of its own; this has the Treebank's conventions and what the lexer does beyond them on the fixture's texts, all of which come out the same. Texts with much else
/// in them (mail addresses, dates, smileys) may be split otherwise.
/// </remarks>
public static partial class CaptionTokens
{
    // Brackets stay: the reference's list has their names in capitals, and its tokens are in lower case by then.
    private static readonly FrozenSet<string> Dropped = FrozenSet.ToFrozenSet(["\"", "''", "'", "``", "`", "?", "!", ",", ":", ";"], StringComparer.Ordinal);

    private static readonly FrozenDictionary<string, string> Names = new Dictionary<string, string>
    {
        ["("] = "-lrb-", [")"] = "-rrb-", ["["] = "-lsb-", ["]"] = "-rsb-", ["{"] = "-lcb-", ["}"] = "-rcb-",
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>The tokens of a text.</summary>
    public static IReadOnlyList<string> Of(string text)
    {
        var tokens = new List<string>();
        var plain = Plain(text);
        foreach (var match in Token().EnumerateMatches(plain))
        {
            var token = PythonText.Lower(plain.Substring(match.Index, match.Length));
            if (token.AsSpan().IndexOfAnyExcept('.', '-') < 0) continue;
            // A tag with attributes is a token with spaces in it, which whoever reads the tokens splits at.
            foreach (var part in PythonText.Split(token)) Add(tokens, part);
        }

        return tokens;
    }

    private static void Add(List<string> tokens, string token)
    {
        if (Names.TryGetValue(token, out var name)) tokens.Add(name);
        else if (Clitic().Match(token) is { Success: true, Index: > 0 } clitic) tokens.AddRange([token[..clitic.Index], clitic.Value]);
        else if (TwoInOne().Match(token) is { Success: true } both) tokens.AddRange([both.Groups[1].Value, both.Groups[2].Value]);
        else if (!Dropped.Contains(token)) tokens.Add(token);
    }

    /// <summary>One line of characters that the lexer knows, quotes and dashes in their plain form, entities read.</summary>
    private static string Plain(string text)
    {
        text = Unknown().Replace(text.Replace('\n', ' '), "");
        if (text.Contains('&', StringComparison.Ordinal))
        {
            text = text.Replace("&quot;", "\"", StringComparison.Ordinal).Replace("&apos;", "'", StringComparison.Ordinal).Replace("&lt;", "<", StringComparison.Ordinal)
                .Replace("&gt;", ">", StringComparison.Ordinal).Replace("&amp;", "&", StringComparison.Ordinal);
        }

        return text.Replace('\u2019', '\'').Replace('\u2018', '\'').Replace('\u201c', '"').Replace('\u201d', '"')
            .Replace("\u2026", "...", StringComparison.Ordinal).Replace("\u2014", " -- ", StringComparison.Ordinal).Replace("\u2013", "--", StringComparison.Ordinal);
    }

    // Characters beyond U+FFFF, and those that join them.
    [GeneratedRegex("[\ud800-\udfff\u200d\ufe0f\u200b\ufeff]")]
    private static partial Regex Unknown();

    // In this order: addresses, tags, names and marks of networks, abbreviations, numbers, contracted words, words (with hyphens, slashes and &), runs of marks, any character.
    [GeneratedRegex(
        """
        https?://[^\s"<>()]*[^\s"<>().,;:!?']
        | </?[A-Za-z][^<>]*>
        | [A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+
        | @[A-Za-z_]\w*
        | \#[A-Za-z]+
        | (?:[A-Za-z]\.){2,}
        | \b(?i:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|inc|ltd|co|corp|gen|col|lt|sgt|rev|hon|mt|no)\.(?=\s)
        | [A-Za-z]+n't(?![A-Za-z])
        | '(?i:s|m|d|ll|re|ve)(?![A-Za-z0-9])
        | [dDoOlL]'[A-Z][a-z]+
        | \d+(?:[.,:]\d+)+ | [+-]?\.\d+
        | (?:[^\W_]\p{M}*)+(?:[-/&](?:[^\W_]\p{M}*)+)*
        | [?!]+ | \.{2,} | -{2,} | '' | `` | \S
        """,
        RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex Token();

    [GeneratedRegex("(?<=[a-z])n't$")]
    private static partial Regex Clitic();

    [GeneratedRegex("^(?:(?<1>can)(?<2>not)|(?<1>gon|wan)(?<2>na)|(?<1>got)(?<2>ta)|(?<1>gim|lem)(?<2>me))$")]
    private static partial Regex TwoInOne();
}
