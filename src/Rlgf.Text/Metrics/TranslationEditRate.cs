using System.Text.RegularExpressions;

namespace Rlgf.Text.Metrics;

/// <summary>How texts are split for TER; the defaults are sacreBLEU's.</summary>
public sealed record TranslationEditRateSettings
{
    /// <summary>Whether punctuation is split off first.</summary>
    public bool Normalized { get; init; }

    /// <summary>Whether punctuation is left out.</summary>
    public bool NoPunctuation { get; init; }

    /// <summary>Whether case counts.</summary>
    public bool CaseSensitive { get; init; }
}

/// <summary>TER: edits that make a reference of a text (a word put in, left out or replaced, or a run of words moved), in per cent of the reference's length; 0 is best, and there is no upper end.</summary>
/// <remarks>Snover et al. 2006 (AMTA), with the heuristics of the program Tercom, as Post 2018 (arXiv 1804.08771) computes it.</remarks>
public static partial class TranslationEditRate
{
    /// <summary>What a text contributes: the fewest edits to any reference, and the references' mean length. Those of a corpus are the sums.</summary>
    /// <param name="text">The text.</param>
    /// <param name="references">Its references, at least one.</param>
    /// <param name="settings">How texts are split.</param>
    public static double[] Statistics(string text, IReadOnlyList<string> references, TranslationEditRateSettings settings)
    {
        var words = Words(text, settings);
        string[][] others = [.. references.Select(reference => Words(reference, settings))];
        return [others.Min(other => new ShiftedEdits(other).Count(words)), others.Average(other => other.Length)];
    }

    /// <summary>The score of statistics or of their sum; to a text of no length, any edit is 100 per cent.</summary>
    public static double Of(ReadOnlySpan<double> statistics) => statistics[1] > 0 ? 100 * statistics[0] / statistics[1] : statistics[0] > 0 ? 100 : 0;

    private static string[] Words(string text, TranslationEditRateSettings settings)
    {
        text = PythonText.TrimEnd(text);
        if (!settings.CaseSensitive) text = PythonText.Lower(text);
        if (settings.Normalized) text = Normalize(text);
        if (settings.NoPunctuation) text = Punctuation().Replace(text, "");
        return [.. PythonText.Split(text)];
    }

    private static string Normalize(string text)
    {
        // A hyphen is joined where it begins a line, unlike in BLEU's tokens.
        text = BleuTokenizers.Unescape(text.Replace("\n-", "", StringComparison.Ordinal).Replace('\n', ' '));
        text = BleuTokenizers.SplitSymbols($" {text} ").Replace("'s ", " 's ", StringComparison.Ordinal);
        return BleuTokenizers.SplitPoints(text);
    }

    [GeneratedRegex("[.,?:;!\"()]")]
    private static partial Regex Punctuation();
}
