namespace Rlgf.Text.Metrics;

/// <summary>BLEU and ROUGE-L as papers on captions compute them (pycocoevalcap): on tokens of the Penn Treebank, 0 to 1.</summary>
public static class CocoMetrics
{
    private const int MaxOrder = 4;
    private const double RecallWeight = 1.2;

    // Keep quotients finite and logarithms defined: a text without a match gets almost nothing rather than nothing.
    private const double OnMatches = 1e-15;
    private const double OnTotals = 1e-9;

    /// <summary>What a text contributes to BLEU; those of a corpus are the sums.</summary>
    /// <param name="tokens">The text's tokens.</param>
    /// <param name="references">Those of its references, at least one.</param>
    /// <returns>As <see cref="Bleu.Statistics(string, IReadOnlyList{string}, BleuSettings)"/>.</returns>
    public static double[] BleuStatistics(IReadOnlyList<string> tokens, IReadOnlyList<IReadOnlyList<string>> references) => Bleu.Statistics(tokens, references, MaxOrder);

    /// <summary>BLEU-1 to BLEU-4.</summary>
    /// <param name="statistics">Of a text, or their sum.</param>
    public static double[] Bleus(ReadOnlySpan<double> statistics)
    {
        var ratio = (statistics[0] + OnMatches) / (statistics[1] + OnTotals);
        var (scores, product) = (new double[MaxOrder], 1.0);
        for (var n = 1; n <= MaxOrder; n++)
        {
            product *= (statistics[1 + n] + OnMatches) / (statistics[1 + MaxOrder + n] + OnTotals);
            scores[n - 1] = Math.Pow(product, 1.0 / n) * (ratio < 1 ? Math.Exp(1 - 1 / ratio) : 1);
        }

        return scores;
    }

    /// <summary>ROUGE-L with β = 1.2: of several references the best precision and the best recall count, be they of one or of two. An empty text counts as one empty token.</summary>
    /// <param name="tokens">The text's tokens.</param>
    /// <param name="references">Those of its references, at least one.</param>
    public static double RougeL(IReadOnlyList<string> tokens, IReadOnlyList<IReadOnlyList<string>> references)
    {
        var own = NotEmpty(tokens);
        double precision = 0, recall = 0;
        foreach (var reference in references.Select(NotEmpty))
        {
            var common = (double)CommonSubsequence.Length(own, reference);
            (precision, recall) = (Math.Max(precision, common / own.Count), Math.Max(recall, common / reference.Count));
        }

        const double Square = RecallWeight * RecallWeight;
        return precision == 0 || recall == 0 ? 0 : (1 + Square) * precision * recall / (recall + Square * precision);

        static IReadOnlyList<string> NotEmpty(IReadOnlyList<string> tokens) => tokens.Count == 0 ? [""] : tokens;
    }
}
