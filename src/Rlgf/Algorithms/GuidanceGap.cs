using Rlgf.Statistics;

namespace Rlgf.Algorithms;

/// <summary>
/// How much better the guide is than the policy, smoothed over iterations, and the factor g by which adaptive guidance scales both how often the guide is asked and how
/// much its tokens are imitated. Immutable and itself the state that a checkpoint keeps; <see cref="Update"/> gives the next one.
/// </summary>
/// <remarks>
/// gap = (mean reward of the guide's whole responses − mean reward of the policy's whole responses) / standard deviation of the latter;
/// smoothed ← 0.7 · smoothed + 0.3 · gap; g = clip(smoothed / 0.5, 0.05, 1); β_i = β · g, c_i = c · g. Ours.
/// Before anything was measured g is 1: the guide is trusted until it is known. The first measured gap is the first smoothed value, as there is nothing to smooth with.
/// The standard deviation is the sample's (n − 1). An iteration that measures nothing (no whole response of the guide, fewer than two of the policy, or no spread among
/// the policy's) leaves all as it was.
/// </remarks>
/// <param name="Smoothed">The smoothed gap, in standard deviations of the policy's reward; null before the first measurement.</param>
public sealed record GuidanceGap(double? Smoothed = null)
{
    /// <summary>Weight of the past in the smoothed gap.</summary>
    public const double Memory = 0.7;

    /// <summary>The smoothed gap from which the guide is asked in full.</summary>
    public const double FullGap = 0.5;

    /// <summary>The smallest factor. Not 0: a guide that is never asked can't be measured.</summary>
    public const double SmallestFactor = 0.05;

    /// <summary>Nothing measured: g = 1.</summary>
    public static GuidanceGap Unmeasured { get; } = new();

    /// <summary>g: multiply the roll-in probability β and the credit's coefficient c by it. Between 0.05 and 1.</summary>
    public double Factor => Smoothed is { } smoothed ? Math.Clamp(smoothed / FullGap, SmallestFactor, 1) : 1;

    /// <summary>The gap of one iteration, in standard deviations of the policy's rewards; null where it can't be measured.</summary>
    /// <param name="guideRewards">Rewards of the responses that the guide wrote whole.</param>
    /// <param name="policyRewards">Rewards of the responses that the policy wrote whole (r = 0).</param>
    public static double? Measure(IReadOnlyCollection<double> guideRewards, IReadOnlyCollection<double> policyRewards)
    {
        if (guideRewards.Count == 0 || policyRewards.Count < 2) return null;
        // Divided by a rounding error, a gap of 1e15 would pass for a measurement.
        if (Spread.IsNone(policyRewards)) return null;
        var gap = (guideRewards.Average() - policyRewards.Average()) / Spread.Deviation(policyRewards);
        return double.IsFinite(gap) ? gap : null;
    }

    /// <summary>The gap after another iteration.</summary>
    /// <param name="guideRewards">Rewards of the responses that the guide wrote whole; may be empty.</param>
    /// <param name="policyRewards">Rewards of the responses that the policy wrote whole (r = 0); may be empty.</param>
    public GuidanceGap Update(IReadOnlyCollection<double> guideRewards, IReadOnlyCollection<double> policyRewards) =>
        Measure(guideRewards, policyRewards) is { } gap
            ? new(Smoothed is { } past ? Memory * past + (1 - Memory) * gap : gap)
            : this;
}
