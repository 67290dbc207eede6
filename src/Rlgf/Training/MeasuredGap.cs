using Rlgf.Algorithms;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;

namespace Rlgf.Training;

/// <summary>How much better the guide's whole responses are than the policy's; they were generated anyway.</summary>
internal static class MeasuredGap
{
    /// <summary>The gap after an iteration.</summary>
    /// <param name="gap">The gap before it.</param>
    /// <param name="rows">The rows of the algorithm's own stage: later ones are chosen by how these did.</param>
    /// <param name="reward">Scores the guide's whole responses, which the rows hold in part only.</param>
    /// <param name="textOf">The text of response tokens.</param>
    /// <param name="cancellationToken">Passed on to the reward.</param>
    public static GuidanceGap After(GuidanceGap gap, IReadOnlyList<ScoredRow> rows, IReward reward, Func<Written, string> textOf, CancellationToken cancellationToken)
    {
        Response[] responses = [.. from row in rows
            let whole = row.Rollout.WholeGuideResponse
            where whole is not null
            select row.Rollout.Response with { Text = textOf(whole), Tokens = whole.Tokens, Ended = whole.Ended }];
        var guideRewards = CheckedScores.Of(reward, responses, cancellationToken).Select(score => score.Return).ToArray();
        var policyRewards = rows.Where(row => row.Rollout is { RollInLength: 0, WholeGuideResponse: null }).Select(row => row.Score.Return).ToArray();
        return gap.Update(guideRewards, policyRewards);
    }
}
