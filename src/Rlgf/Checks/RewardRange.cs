using Rlgf.Models.Loading;
using Rlgf.Rewards;
using Rlgf.Rewards.Remote;

namespace Rlgf.Checks;

/// <summary>Between which numbers a reward's scores lie, where that is known before there is one.</summary>
internal static class RewardRange
{
    /// <summary>The least and the largest score; null where one of them is not known: a metric has its own unit, and somebody's own code may give anything.</summary>
    /// <param name="reward">The reward.</param>
    public static (double Least, double Most)? Of(IReward reward) => (reward, Own(reward)) switch
    {
        (IReadsRows { Failures.Score: { } failed }, var (least, most)) => (Math.Min(least, failed), Math.Max(most, failed)),
        (_, var own) => own,
    };

    private static (double Least, double Most)? Own(IReward reward) => reward switch
    {
        MatchReward or StackProgramReward or ReasoningGymReward or RegexReward or EndedReward or LengthRangeReward => (0, 1),
        LengthReward => (-1, 1),
        ClassifierReward { Transform: ClassifierTransform.Probability or ClassifierTransform.Sigmoid } => (0, 1),
        ModelJudgeReward judge => judge.Range,
        TransformedReward transformed => transformed.Range(Of(transformed.Reward)),
        WeightedReward sum => Sum(sum),
        // What is taken off for disagreement has a bound too, but none that says anything.
        EnsembleReward { Score: not EnsembleScore.MeanMinusDeviations } ensemble => Widest(ensemble),
        _ => null,
    };

    private static (double Least, double Most)? Widest(EnsembleReward ensemble)
    {
        var ranges = ensemble.Members.Select(Of).ToArray();
        return Array.TrueForAll(ranges, range => range is not null) ? (ranges.Min(range => range!.Value.Least), ranges.Max(range => range!.Value.Most)) : null;
    }

    private static (double Least, double Most)? Sum(WeightedReward sum)
    {
        var (least, most) = (0.0, 0.0);
        foreach (var (reward, weight) in sum.Parts)
        {
            if (Of(reward) is not { } part) return null;
            least += weight * (weight >= 0 ? part.Least : part.Most);
            most += weight * (weight >= 0 ? part.Most : part.Least);
        }
        return (least, most);
    }
}
