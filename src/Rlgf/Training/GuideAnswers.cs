using Rlgf.Distributed;
using Rlgf.Guides;
using Rlgf.Lessons;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;

namespace Rlgf.Training;

/// <summary>What the guide's whole responses are worth, which rows hold in part only; they were generated anyway.</summary>
internal static class GuideAnswers
{
    /// <summary>The guide's whole responses, scored.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="reward">Scores them.</param>
    /// <param name="textOf">The text of response tokens.</param>
    /// <param name="ranks">Each scores the rows of its groups.</param>
    /// <param name="cancellationToken">Passed on to the reward.</param>
    public static IReadOnlyList<GuideAnswer> Of(IReadOnlyList<ScoredRow> rows, IReward reward, Func<Written, string> textOf, ICommunicator ranks, CancellationToken cancellationToken)
    {
        Rollout[] asked = [.. from row in rows where row.Rollout.WholeGuideResponse is not null select row.Rollout];
        Response[] responses = Array.ConvertAll(asked, row => row.Response with { Text = textOf(row.WholeGuideResponse!), Tokens = row.WholeGuideResponse!.Tokens, Ended = row.WholeGuideResponse.Ended });
        return [.. CheckedScores.Of(reward, responses, ranks, Array.ConvertAll(asked, row => row.Group), cancellationToken).Zip(asked, (score, row) => new GuideAnswer(row, score.Return))];
    }

    /// <summary>What came of what several guides wrote.</summary>
    /// <param name="rows">The iteration's rows.</param>
    public static IReadOnlyList<JudgedAnswer> Judged(IReadOnlyList<ScoredRow> rows)
    {
        var alone = OwnRewards(rows) is { Length: > 0 } own ? own.Average() : rows.Average(row => row.Score.Return);
        return [.. from row in rows where row.Rollout.GuidedBy is not null
            select new JudgedAnswer(row.Rollout.GuidedBy!, row.Rollout.Prompt.Id, row.Score.Return, row.Score.Return - alone, row.Rollout.GuideTokens)];
    }

    /// <summary>The rewards of the responses that the policy wrote whole, with which those are compared.</summary>
    public static double[] OwnRewards(IReadOnlyList<ScoredRow> rows) => [.. from row in rows where row.Rollout.IsByPolicyAlone select row.Score.Return];
}
