using MathNet.Numerics.Distributions;
using Rlgf.Base;

namespace Rlgf.Statistics;

/// <summary>Two models compared on the same prompts: what one prompt has over another falls out, which makes the interval narrower than that of two separate means.</summary>
/// <param name="Difference">Mean of a − b with its interval.</param>
/// <param name="T">Student's t of the mean difference; NaN of fewer than two pairs, infinite where all differences are equal and not 0.</param>
/// <param name="PTwoSided">Probability of a t at least as far from 0 if the true difference were 0.</param>
public sealed record PairedDifference(Interval Difference, double T, double PTwoSided)
{
    /// <summary>Mean difference with Student's interval and test (the paired t-test, n − 1 degrees of freedom).</summary>
    /// <param name="a">A value for each prompt.</param>
    /// <param name="b">The other model's values for the same prompts, in the same order.</param>
    /// <param name="confidence">0.95 for a 95 % interval.</param>
    /// <exception cref="InputException">The two aren't of the same length.</exception>
    public static PairedDifference Of(IReadOnlyList<double> a, IReadOnlyList<double> b, double confidence = 0.95)
    {
        var differences = Differences(a, b);
        var interval = Interval.OfMean(differences, confidence);
        if (differences.Length < 2) return new(interval, double.NaN, double.NaN);
        var t = interval.Mean / Interval.StandardError(differences, interval.Mean);
        // All differences 0: 0/0, and no evidence whatever of a difference.
        if (double.IsNaN(t) && differences.All(d => d == 0)) return new(interval, 0, 1);
        return new(interval, t, 2 * StudentT.CDF(0, 1, differences.Length - 1, -Math.Abs(t)));
    }

    /// <summary>a − b, pair by pair.</summary>
    internal static double[] Differences(IReadOnlyList<double> a, IReadOnlyList<double> b)
    {
        if (a.Count != b.Count)
            throw new InputException($"a paired comparison needs the same prompts on both sides, and there are {a.Count} values against {b.Count}: evaluate both on the same data.");
        return [.. a.Zip(b, (x, y) => x - y)];
    }
}
