using System.Collections.ObjectModel;
using Rlgf.Algorithms;
using Rlgf.Lessons;
using Rlgf.Rewards;
using Rlgf.Rollouts;

namespace Rlgf.Training;

/// <summary>What an iteration wrote and scored.</summary>
/// <param name="First">The plan of the algorithm's own stage.</param>
/// <param name="Everything">All rows, the first stage's first, those that were replaced among them: all was paid for.</param>
/// <param name="Rows">The rows that are learned from.</param>
/// <param name="Answers">The guide's whole answers with their rewards, where the algorithm compares them.</param>
/// <param name="Gap">The gap, with this iteration's.</param>
/// <param name="Cuts">What is known of each prompt's cut, with this iteration's trials; null for rules without a state.</param>
internal sealed record WrittenRows(
    IReadOnlyList<PlannedRow> First, IReadOnlyList<Rollout> Everything, IReadOnlyList<ScoredRow> Rows, IReadOnlyList<GuideAnswer> Answers, GuidanceGap Gap, CutState? Cuts)
{
    /// <summary>What the guide is worth, measured beside them; null where it wasn't.</summary>
    public MeasuredWorth? Worth { get; init; }

    /// <summary>Tokens that the guide wrote in the iteration, all of them: by its name where there are several guides, else by an empty one.</summary>
    public Dictionary<string, long> GuideTokens => TokensByGuide(Everything).Concat(Worth?.GuideTokens ?? ReadOnlyDictionary<string, long>.Empty).GroupBy(part => part.Key, part => part.Value).ToDictionary(parts => parts.Key, parts => parts.Sum());

    /// <summary>Tokens that the guide wrote of some rows, those that were cut off included. What several rows share was written once.</summary>
    public static Dictionary<string, long> TokensByGuide(IReadOnlyCollection<Rollout> rollouts) =>
        rollouts.Where(rollout => rollout.RollOut == Actor.Guide).Select(rollout => (By: rollout.GuidedBy, Tokens: (long)rollout.Tokens.Length - rollout.RollInLength))
            .Concat(rollouts.Select(rollout => rollout.WholeGuideResponse).OfType<Written>().Distinct(ReferenceEqualityComparer.Instance).Cast<Written>().Select(whole => (whole.By, Tokens: (long)whole.Tokens.Length)))
            .GroupBy(part => part.By ?? "", part => part.Tokens).ToDictionary(parts => parts.Key, parts => parts.Sum());

    /// <summary>What the reward says of the rows that are learned from.</summary>
    public IReadOnlyList<RewardScore> Scores { get; } = [.. Rows.Select(row => row.Score)];
}
