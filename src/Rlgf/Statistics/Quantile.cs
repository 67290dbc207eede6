namespace Rlgf.Statistics;

/// <summary>Quantiles of a sample, linear between neighbours.</summary>
public static class Quantile
{
    /// <summary>The q-quantile at position (n − 1) q of the sorted values (numpy's default; type 7 of Hyndman and Fan 1996).</summary>
    /// <param name="sorted">At least one value, in ascending order.</param>
    /// <param name="q">0…1.</param>
    public static double Of(IReadOnlyList<double> sorted, double q)
    {
        if (sorted.Count == 0) throw new ArgumentException("A quantile needs at least one value.", nameof(sorted));
        if (!(q is >= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(q), q, "A quantile is between 0 and 1.");
        var position = (sorted.Count - 1) * q;
        var below = (int)position;
        var above = Math.Min(below + 1, sorted.Count - 1);
        return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
    }
}
