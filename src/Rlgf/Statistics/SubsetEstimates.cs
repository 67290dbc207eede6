namespace Rlgf.Statistics;

/// <summary>
/// What k answers to a prompt would have reached, estimated without bias from n ≥ k that were drawn: the mean over all C(n, k) subsets, computed exactly.
/// </summary>
public static class SubsetEstimates
{
    /// <summary>
    /// pass@k: the probability that one of k answers at least is right, 1 − C(n−c, k) / C(n, k). Chen et al., "Evaluating Large Language Models Trained on Code" (arXiv 2107.03374), equation 1.
    /// </summary>
    /// <param name="answers">n: answers drawn.</param>
    /// <param name="right">c: how many of them are right.</param>
    /// <param name="k">1…n.</param>
    public static double PassAtK(int answers, int right, int k)
    {
        RequireSubset(answers, k);
        if (right < 0 || right > answers) throw new ArgumentOutOfRangeException(nameof(right), right, $"Of {answers} answers 0 to {answers} are right.");
        if (answers - right < k) return 1;
        // The share of subsets without a right one, one right answer after the other left out.
        var none = 1.0;
        for (var i = answers - right + 1; i <= answers; i++) none *= 1 - k / (double)i;
        return 1 - none;
    }

    /// <summary>best-of-k: the expected maximum of k of the values, Σ_i x₍ᵢ₎ · C(i−1, k−1) / C(n, k) with x₍₁₎ ≤ … ≤ x₍ₙ₎, since the maximum is the i-th where the other k−1 are below it.</summary>
    /// <param name="values">n values; a NaN among them makes it NaN.</param>
    /// <param name="k">1…n.</param>
    public static double BestOfK(IReadOnlyList<double> values, int k)
    {
        RequireSubset(values.Count, k);
        if (values.Any(double.IsNaN)) return double.NaN;
        double[] sorted = [.. values.Order()];
        var (weight, sum) = (k / (double)sorted.Length, 0.0);
        for (var i = sorted.Length; i >= k; i--)
        {
            sum += weight * sorted[i - 1];
            if (i > 1) weight *= (i - k) / (double)(i - 1);
        }

        return sum;
    }

    /// <summary>The probability that an answer of one model is better than an answer of another to the same prompt, ties counted half: the mean over all pairs of answers.</summary>
    /// <param name="own">Scores of its answers.</param>
    /// <param name="others">Scores of the other's answers.</param>
    /// <returns>0…1; NaN where a score is.</returns>
    public static double WinRate(IReadOnlyList<double> own, IReadOnlyList<double> others) =>
        own.Average(a => others.Average(b => double.IsNaN(a) || double.IsNaN(b) ? double.NaN : a > b ? 1 : a == b ? 0.5 : 0));

    private static void RequireSubset(int answers, int k)
    {
        if (k < 1 || k > answers) throw new ArgumentOutOfRangeException(nameof(k), k, $"A subset of {answers} has 1 to {answers}.");
    }
}
