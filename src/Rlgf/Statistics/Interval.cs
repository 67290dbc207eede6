using MathNet.Numerics.Distributions;

namespace Rlgf.Statistics;

/// <summary>A mean with its confidence interval.</summary>
/// <param name="Mean">The mean; NaN of no values.</param>
/// <param name="Low">The interval's lower end; NaN where it is undefined.</param>
/// <param name="High">The interval's upper end; NaN where it is undefined.</param>
/// <param name="Count">Number of values.</param>
public sealed record Interval(double Mean, double Low, double High, int Count)
{
    /// <summary>Half the interval's width: what stands after ±.</summary>
    public double HalfWidth => (High - Low) / 2;

    /// <summary>The mean with Student's interval, mean ± t_{n−1} · s/√n with s² divided by n − 1: right for normal values, and close for the mean of many.</summary>
    /// <param name="values">Independent values; a NaN among them makes all NaN.</param>
    /// <param name="confidence">0.95 for a 95 % interval.</param>
    /// <returns>Of a single value, the mean alone: its interval is NaN, as nothing is known of the spread.</returns>
    public static Interval OfMean(IReadOnlyCollection<double> values, double confidence = 0.95)
    {
        RequireConfidence(confidence);
        if (values.Count == 0) return new(double.NaN, double.NaN, double.NaN, 0);
        var mean = values.Average();
        if (values.Count == 1) return new(mean, double.NaN, double.NaN, 1);
        var half = StudentT.InvCDF(0, 1, values.Count - 1, (1 + confidence) / 2) * StandardError(values, mean);
        return new(mean, mean - half, mean + half, values.Count);
    }

    /// <summary>A share with Wilson's score interval, which stays within 0 and 1 and has a width where all or none are hits (Wilson, "Probable inference, the law of succession, and statistical inference", 1927).</summary>
    /// <param name="hits">How many are.</param>
    /// <param name="count">Of how many, drawn independently.</param>
    /// <param name="confidence">0.95 for a 95 % interval.</param>
    public static Interval OfShare(int hits, int count, double confidence = 0.95)
    {
        RequireConfidence(confidence);
        if (hits < 0 || hits > count) throw new ArgumentOutOfRangeException(nameof(hits), hits, $"There are {count}.");
        if (count == 0) return new(double.NaN, double.NaN, double.NaN, 0);
        var z = Normal.InvCDF(0, 1, (1 + confidence) / 2);
        var (share, spread) = ((double)hits / count, z * z / count);
        var centre = (share + (spread / 2)) / (1 + spread);
        var half = z / (1 + spread) * Math.Sqrt(((share * (1 - share)) + (spread / 4)) / count);
        // At an end of the range the interval's is that end, and rounding puts it beside it.
        return new(share, hits == 0 ? 0 : centre - half, hits == count ? 1 : centre + half, count);
    }

    /// <summary>s/√n with s² divided by n − 1.</summary>
    internal static double StandardError(IReadOnlyCollection<double> values, double mean) =>
        Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / (values.Count - 1) / values.Count);

    internal static void RequireConfidence(double confidence)
    {
        if (!(confidence is > 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(confidence), confidence, "A confidence is between 0 and 1, such as 0.95.");
    }
}
