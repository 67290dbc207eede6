namespace Rlgf.Text.Metrics;

/// <summary>self-BLEU: how much each text is like all the others, as mean of the BLEU of each with the others as its references. High where a policy says the same again and again.</summary>
/// <remarks>Zhu et al. 2018, "Texygen" (arXiv 1802.01886).</remarks>
public static class SelfBleu
{
    // What nltk's method1 has in place of 0 matches.
    private const double OnNothing = 0.1;

    /// <summary>With nltk's <c>sentence_bleu</c> and its smoothing <c>method1</c>, 0 to 1.</summary>
    /// <param name="texts">The tokens of each text, two texts at least.</param>
    /// <param name="order">The longest n-grams.</param>
    /// <returns>A number for each text.</returns>
    public static double[] Nltk(IReadOnlyList<IReadOnlyList<string>> texts, int order) => [.. Statistics(texts, order).Select(statistics =>
    {
        var (length, reference) = (statistics[0], statistics[1]);
        if (statistics[2] == 0) return 0;
        var logarithms = Enumerable.Range(2, order).Sum(n => Math.Log((statistics[n] == 0 ? OnNothing : statistics[n]) / Math.Max(1, statistics[order + n])));
        return Math.Exp(logarithms / order) * (length > reference ? 1 : Math.Exp(1 - reference / length));
    })];

    /// <summary>With sacreBLEU's score of a text, 0 to 100.</summary>
    /// <param name="texts">The tokens of each text, two texts at least.</param>
    /// <returns>A number for each text.</returns>
    public static double[] Sacre(IReadOnlyList<IReadOnlyList<string>> texts)
    {
        var settings = new BleuSettings { EffectiveOrder = true };
        return [.. Statistics(texts, settings.MaxOrder).Select(statistics => Bleu.Of(statistics, settings).Score)];
    }

    /// <summary>The statistics of each text with all others as references, in one pass over all n-grams: of each the two largest counts are enough.</summary>
    private static double[][] Statistics(IReadOnlyList<IReadOnlyList<string>> texts, int order)
    {
        if (texts.Count < 2) throw new ArgumentException("self-BLEU needs two texts", nameof(texts));
        var statistics = texts.Select(text => new double[2 + 2 * order]).ToArray();
        var lengths = texts.Select(text => text.Count).GroupBy(length => length).ToDictionary(group => group.Key, group => group.Count());
        for (var n = 1; n <= order; n++)
        {
            var counts = texts.Select(text => NgramCounts.Of(text, n)).ToArray();
            var most = new Dictionary<string, (int First, int Second)>(StringComparer.Ordinal);
            foreach (var (ngram, count) in counts.SelectMany(count => count))
            {
                var (first, second) = most.GetValueOrDefault(ngram);
                most[ngram] = count > first ? (count, first) : (first, Math.Max(second, count));
            }

            for (var i = 0; i < texts.Count; i++)
            {
                // The largest count of the others is the second one where a text has the largest itself.
                statistics[i][1 + n] = counts[i].Sum(ngram => most[ngram.Key] is var (first, second) && ngram.Value == first ? Math.Min(first, second) : ngram.Value);
                statistics[i][1 + order + n] = Math.Max(0, texts[i].Count - n + 1);
            }
        }

        for (var i = 0; i < texts.Count; i++)
        {
            var own = texts[i].Count;
            statistics[i][0] = own;
            statistics[i][1] = lengths[own] > 1 ? own : Bleu.ClosestLength(own, lengths.Keys.Where(length => length != own));
        }

        return statistics;
    }
}
