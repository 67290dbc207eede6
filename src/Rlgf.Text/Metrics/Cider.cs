namespace Rlgf.Text.Metrics;

/// <summary>In how many documents each n-gram occurs; a document is all references of one item together.</summary>
public sealed class DocumentFrequencies
{
    private readonly Dictionary<string, int>[] _counts = [.. Enumerable.Range(0, Cider.MaxOrder).Select(_ => new Dictionary<string, int>(StringComparer.Ordinal))];

    /// <summary>Counts them.</summary>
    /// <param name="items">The references of each item, as tokens.</param>
    public DocumentFrequencies(IEnumerable<IReadOnlyList<IReadOnlyList<string>>> items)
    {
        foreach (var references in items)
        {
            Documents++;
            for (var n = 1; n <= Cider.MaxOrder; n++)
            {
                foreach (var ngram in references.SelectMany(reference => NgramCounts.Of(reference, n).Keys).Distinct(StringComparer.Ordinal))
                    _counts[n - 1][ngram] = _counts[n - 1].GetValueOrDefault(ngram) + 1;
            }
        }
    }

    /// <summary>Counts them in texts as they are.</summary>
    /// <param name="items">The references of each item.</param>
    public static DocumentFrequencies OfTexts(IEnumerable<IReadOnlyList<string>> items) => new(items.Select(references => references.Select(CaptionTokens.Of).ToArray()));

    /// <summary>Number of items.</summary>
    public int Documents { get; }

    /// <summary>ln(items / items with the n-gram); one that no item has counts as if one had.</summary>
    internal double InverseLog(string ngram, int n) => Math.Log(Math.Max(1, Documents)) - Math.Log(Math.Max(1, _counts[n - 1].GetValueOrDefault(ngram)));
}

/// <summary>CIDEr and CIDEr-D, 0 to 10: n-grams of 1 to 4 words, each by how rare it is. CIDEr-D, which captioning tools report under either name, clips counts and takes off for another length.</summary>
/// <remarks>Vedantam et al. 2015 (arXiv 1411.5726), as pycocoevalcap computes it: words are not stemmed, and a count isn't divided by the text's length.</remarks>
public static class Cider
{
    /// <summary>The longest n-grams.</summary>
    internal const int MaxOrder = 4;

    private const double Sigma = 6;

    /// <summary>The score of one text.</summary>
    /// <param name="tokens">The text's tokens.</param>
    /// <param name="references">Those of its references, at least one; the score is the mean over them.</param>
    /// <param name="frequencies">How rare n-grams are. Those of one item alone make every score 0.</param>
    /// <param name="isD">CIDEr-D.</param>
    public static double Of(IReadOnlyList<string> tokens, IReadOnlyList<IReadOnlyList<string>> references, DocumentFrequencies frequencies, bool isD)
    {
        var own = new Weights(tokens, frequencies);
        return 10 * references.Average(reference => Similarity(own, new Weights(reference, frequencies), isD));
    }

    private static double Similarity(Weights own, Weights reference, bool isD)
    {
        double sum = 0;
        for (var n = 0; n < MaxOrder; n++)
        {
            double dot = 0;
            foreach (var (ngram, weight) in own.Of[n])
                if (reference.Of[n].TryGetValue(ngram, out var other)) dot += (isD ? Math.Min(weight, other) : weight) * other;
            if (own.Norms[n] != 0 && reference.Norms[n] != 0) sum += dot / (own.Norms[n] * reference.Norms[n]);
        }

        var difference = own.Bigrams - reference.Bigrams;
        return sum / MaxOrder * (isD ? Math.Exp(-(difference * difference) / (2 * Sigma * Sigma)) : 1);
    }

    /// <summary>A text's n-grams, each with its count times how rare it is.</summary>
    private sealed class Weights
    {
        public Weights(IReadOnlyList<string> tokens, DocumentFrequencies frequencies)
        {
            // The length that is compared is that in pairs of words.
            Bigrams = Math.Max(0, tokens.Count - 1);
            for (var n = 1; n <= MaxOrder; n++)
            {
                var counts = NgramCounts.Of(tokens, n);
                var weights = Of[n - 1] = new(counts.Count, StringComparer.Ordinal);
                foreach (var (ngram, count) in counts)
                {
                    var weight = count * frequencies.InverseLog(ngram, n);
                    weights[ngram] = weight;
                    Norms[n - 1] += weight * weight;
                }

                Norms[n - 1] = Math.Sqrt(Norms[n - 1]);
            }
        }

        public double Bigrams { get; }

        public Dictionary<string, double>[] Of { get; } = new Dictionary<string, double>[MaxOrder];

        public double[] Norms { get; } = new double[MaxOrder];
    }
}
