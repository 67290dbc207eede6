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
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var text in texts)
        {
            foreach (var ngram in Ngrams(text, n)) counts[ngram] = counts.GetValueOrDefault(ngram) + 1;
        }
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
        return all > 0 ? 1 - Ngrams(text, n).Distinct(StringComparer.Ordinal).Count() / (double)all : null;
    }

    /// <summary>The tokens that diversity is counted over: lower case, split at white space.</summary>
    public static IReadOnlyList<string> Words(string text) => text.ToLowerInvariant().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);

    // U+0000 can't be part of a token of text, so that no two n-grams are joined to the same key.
    private static IEnumerable<string> Ngrams(IReadOnlyList<string> text, int n)
    {
        for (var start = 0; start + n <= text.Count; start++) yield return string.Join('\0', text.Skip(start).Take(n));
    }
}
