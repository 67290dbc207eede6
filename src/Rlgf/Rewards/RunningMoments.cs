using System.Text.Json.Serialization;
using Rlgf.Statistics;

namespace Rlgf.Rewards;

/// <summary>Mean and deviation of all rewards that training has seen so far. Immutable and itself the state that a checkpoint keeps; <see cref="With"/> gives the next one.</summary>
/// <remarks>
/// Batches are merged as in Chan, Golub, LeVeque, "Algorithms for Computing the Sample Variance" (The American Statistician 37, 1983), equation 2.1. Bringing a reward
/// model's scores to mean 0 and variance 1 is in Ziegler et al. 2019 (arXiv 1909.08593), section 2.2; by running moments in Engstrom et al. 2020 (arXiv 2005.12729),
/// there without the mean.
/// </remarks>
/// <param name="Count">Number of rewards seen.</param>
/// <param name="Mean">Their mean; 0 of none.</param>
/// <param name="Squares">Sum of their squared distances from it.</param>
public sealed record RunningMoments(long Count = 0, double Mean = 0, double Squares = 0)
{
    /// <summary>What rewards are divided by: the deviation (n − 1), or 1 where there is none but rounding.</summary>
    [JsonIgnore]
    public double Scale => Count > 1 && Math.Sqrt(Squares / (Count - 1)) is var deviation && deviation > Spread.Rounding * Math.Abs(Mean) ? deviation : 1;

    /// <summary>The moments with more rewards.</summary>
    /// <param name="rewards">Undiscounted sums of responses.</param>
    public RunningMoments With(IReadOnlyCollection<double> rewards)
    {
        if (rewards.Count == 0) return this;
        var mean = rewards.Average();
        var (count, distance) = (Count + rewards.Count, mean - Mean);
        return new(
            count,
            Mean + distance * rewards.Count / count,
            Squares + rewards.Sum(reward => (reward - mean) * (reward - mean)) + distance * distance * Count * rewards.Count / count);
    }

    /// <summary>The score whose sum is (sum − mean) / scale: the mean is taken off the whole response's part.</summary>
    public RewardScore Normalise(RewardScore score) => score with
    {
        Total = (score.Total - Mean) / Scale,
        PerToken = score.PerToken is { } dense ? Array.ConvertAll(dense, reward => (float)(reward / Scale)) : null,
    };
}
