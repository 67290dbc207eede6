namespace Rlgf.Statistics;

/// <summary>How far values lie apart.</summary>
public static class Spread
{
    /// <summary>Eight units in the last place of float32, which scores are computed in.</summary>
    internal const double Rounding = 1.0 / (1 << 20);

    /// <summary>
    /// Whether values are equal but for rounding: they lie no farther apart than 2⁻²⁰ of the largest of them. Compared, not computed: the deviation of equal numbers may be a rounding
    /// error, and what is divided by it passes for a difference.
    /// </summary>
    /// <param name="values">Any number of values; fewer than two have no spread.</param>
    public static bool IsNone(IReadOnlyCollection<double> values)
    {
        if (values.Count < 2) return true;
        var (least, most) = (values.Min(), values.Max());
        return most - least <= Rounding * Math.Max(Math.Abs(least), Math.Abs(most));
    }

    /// <summary>Standard deviation of a sample (n − 1); NaN of fewer than two values.</summary>
    public static double Deviation(IReadOnlyCollection<double> values)
    {
        if (values.Count < 2) return double.NaN;
        var mean = values.Average();
        return Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / (values.Count - 1));
    }
}
