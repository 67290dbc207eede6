namespace Rlgf.Text.Metrics;

/// <summary>How varied texts are: a policy that has collapsed says the same thing again and again, which no reward need notice.</summary>
/// <remarks>
/// The definitions of GEM-metrics (Gehrmann et al. 2021, arXiv 2102.01672), which RL4LMs uses too; distinct-n comes from Li et al. 2016 (arXiv 1510.03055).
/// N-grams don't cross texts. All of these depend on how much text there is: compare only corpora of like size.
/// </remarks>
/// <param name="Distinct">distinct-n: different n-grams of all texts, divided by all n-grams; 0 without an n-gram.</param>
/// <param name="VocabularySize">Number of different n-grams.</param>
/// <param name="Unique">Number of n-grams that occur exactly once.</param>
/// <param name="Entropy">Shannon entropy of the n-grams' frequencies, bits; 0 without an n-gram.</param>
public sealed record NgramDiversity(double Distinct, int VocabularySize, int Unique, double Entropy)
{
    /// <summary>Counts the n-grams of all texts together.</summary>
    /// <param name="texts">The tokens of each text, see <see cref="Words"/>.</param>
    /// <param name="n">Tokens per n-gram, 1 or more.</param>
    public static NgramDiversity Of(IEnumerable<IReadOnlyList<string>> texts, int n)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(n);
        var counts = Counts(texts, n);
        double total = counts.Values.Sum(count => (long)count);
        return total == 0
            ? new(0, 0, 0, 0)
            : new(counts.Count / total, counts.Count, counts.Values.Count(count => count == 1), counts.Values.Sum(count => count / total * Math.Log2(total / count)));
    }

    /// <summary>rep-n of one text: the share of its n-grams that are repetitions, 1 − different / all; null for a text without an n-gram.</summary>
    /// <remarks>Welleck et al. 2019, "Neural Text Generation with Unlikelihood Training" (arXiv 1908.04319), section 5, seq-rep-n.</remarks>
    /// <param name="text">The text's tokens.</param>
    /// <param name="n">Tokens per n-gram, 1 or more.</param>
    public static double? Repetition(IReadOnlyList<string> text, int n)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(n);
        var all = text.Count - n + 1;
        return all > 0 ? 1 - NgramCounts.Of(text, n).Count / (double)all : null;
    }

    /// <summary>
    /// Entropy of an n-gram's last token given those before it, bits: −Σ p(g) log₂(p(g) / p(g without its last)). Slightly below 0 where all n-grams go on in one way, as the beginnings' frequencies
    /// count those at the ends of texts, which don't go on.
    /// </summary>
    /// <param name="texts">The tokens of each text.</param>
    /// <param name="n">Tokens per n-gram, 2 or more.</param>
    public static double ConditionalEntropy(IReadOnlyCollection<IReadOnlyList<string>> texts, int n)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(n, 2);
        var (counts, beginnings) = (Counts(texts, n), Counts(texts, n - 1));
        double total = counts.Values.Sum(count => (long)count), totalOfBeginnings = beginnings.Values.Sum(count => (long)count);
        return counts.Sum(ngram => ngram.Value / total * Math.Log2(beginnings[ngram.Key[..ngram.Key.LastIndexOf(' ')]] / totalOfBeginnings / (ngram.Value / total)));
    }

    /// <summary>MSTTR: mean share of different tokens in stretches of all texts joined, the rest after the last full one left out; null without a full one. Unlike distinct-1 it doesn't depend on how much text there is.</summary>
    /// <remarks>Johnson 1944, "Studies in language behavior".</remarks>
    /// <param name="texts">The tokens of each text.</param>
    /// <param name="window">Tokens per stretch.</param>
    public static double? MeanSegmentalTypeTokenRatio(IEnumerable<IReadOnlyList<string>> texts, int window)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(window);
        var shares = texts.SelectMany(text => text).Chunk(window).Where(tokens => tokens.Length == window).Select(tokens => tokens.Distinct(StringComparer.Ordinal).Count() / (double)window).ToArray();
        return shares.Length == 0 ? null : shares.Average();
    }

    /// <summary>Share of a text's n-grams, each as often as it occurs, that are not among known ones, such as those of the training texts; null for a text without an n-gram.</summary>
    /// <param name="text">The text's tokens.</param>
    /// <param name="known">The known texts' n-grams, see <see cref="AllNgrams"/>.</param>
    /// <param name="n">Tokens per n-gram.</param>
    public static double? Novelty(IReadOnlyList<string> text, IReadOnlySet<string> known, int n)
    {
        var counts = NgramCounts.Of(text, n);
        return counts.Count == 0 ? null : counts.Where(ngram => !known.Contains(ngram.Key)).Sum(ngram => ngram.Value) / (double)(text.Count - n + 1);
    }

    /// <summary>The different n-grams of texts, for <see cref="Novelty"/>.</summary>
    public static IReadOnlySet<string> AllNgrams(IEnumerable<IReadOnlyList<string>> texts, int n) => Counts(texts, n).Keys.ToHashSet(StringComparer.Ordinal);

    /// <summary>The tokens that diversity is counted over: lower case, split at white space.</summary>
    public static IReadOnlyList<string> Words(string text) => PythonText.Split(PythonText.Lower(text));

    private static Dictionary<string, int> Counts(IEnumerable<IReadOnlyList<string>> texts, int n)
    {
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var text in texts)
        {
            foreach (var (ngram, count) in NgramCounts.Of(text, n)) counts[ngram] = counts.GetValueOrDefault(ngram) + count;
        }

        return counts;
    }
}
