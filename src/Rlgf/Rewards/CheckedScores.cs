using Rlgf.Base;
using Rlgf.Distributed;
using Rlgf.Prompts;

namespace Rlgf.Rewards;

/// <summary>The one way by which training, evaluations, the measured gap and sums ask a reward: what it answers wrongly is said with its name and the row.</summary>
public static class CheckedScores
{
    /// <summary>Scores responses, and waits for the answer on this thread.</summary>
    /// <param name="reward">The reward.</param>
    /// <param name="responses">The responses.</param>
    /// <param name="cancellationToken">Passed on to the reward.</param>
    /// <returns>As <see cref="OfAsync"/>.</returns>
    /// <exception cref="InputException">The reward failed, or answered otherwise.</exception>
    public static IReadOnlyList<RewardScore> Of(IReward reward, IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
        OwnCode.Wait(() => OfAsync(reward, responses, cancellationToken));

    /// <summary>Lets each rank score the responses of its groups.</summary>
    /// <param name="reward">The reward.</param>
    /// <param name="responses">The responses.</param>
    /// <param name="ranks">The ranks.</param>
    /// <param name="groups">The group of each response.</param>
    /// <param name="cancellationToken">Passed on to the reward.</param>
    /// <returns>As <see cref="OfAsync"/>, of all responses.</returns>
    /// <exception cref="InputException">The reward failed, or answered otherwise.</exception>
    internal static IReadOnlyList<RewardScore> Of(IReward reward, IReadOnlyList<Response> responses, ICommunicator ranks, IReadOnlyList<int> groups, CancellationToken cancellationToken)
    {
        var scores = Dealt.Of(ranks, groups, rows => Of(reward, rows.Length == responses.Count ? responses : [.. rows.Select(row => responses[row])], cancellationToken), ScoreBytes.Write, ScoreBytes.Read);
        return ranks.Size == 1 ? scores : Checked(reward, responses, scores);
    }

    /// <summary>Scores responses.</summary>
    /// <param name="reward">The reward.</param>
    /// <param name="responses">The responses.</param>
    /// <param name="cancellationToken">Passed on to the reward.</param>
    /// <returns>One score for each response; all numbers are finite in float32, which training computes in, and dense rewards are as long as their responses.</returns>
    /// <exception cref="InputException">The reward failed, or answered otherwise.</exception>
    public static async Task<IReadOnlyList<RewardScore>> OfAsync(IReward reward, IReadOnlyList<Response> responses, CancellationToken cancellationToken)
    {
        if (responses.Count == 0) return [];
        var who = $"the reward '{reward.Name}'";
        var given = $"{responses.Count} responses, the first of {OwnCode.Place(responses[0].Prompt)}";
        return Checked(reward, responses, await OwnCode.RunAsync(who, given, () => reward.ScoreAsync(responses, cancellationToken), cancellationToken).ConfigureAwait(false));
    }

    private static IReadOnlyList<RewardScore> Checked(IReward reward, IReadOnlyList<Response> responses, IReadOnlyList<RewardScore>? scores)
    {
        var who = $"the reward '{reward.Name}'";
        if (scores is null || scores.Count != responses.Count)
        {
            var returned = scores is null ? "no scores (null)" : $"{scores.Count} scores";
            throw new InputException($"{who} returned {returned} for {responses.Count} responses: it must return one for each, in their order.");
        }

        for (var row = 0; row < scores.Count; row++)
        {
            if (Problem(scores[row], responses[row], scores[0], $"response {row + 1} of {scores.Count} ({OwnCode.Place(responses[row].Prompt)})") is { } problem)
                throw new InputException($"{who} {problem}");
        }

        return scores;
    }

    /// <summary>What is wrong with a score; null where nothing is.</summary>
    private static string? Problem(RewardScore? score, Response response, RewardScore first, string where)
    {
        if (score is null) return $"returned no score (null) for {where}: it must return one.";
        if (NotFinite(score.Total) is { } total) return $"gave {total} for {where}: a score must be a finite number{OfFloat32(score.Total)}.";
        if (score.PerToken is { } dense)
        {
            if (dense.Length != response.Tokens.Length)
                return $"gave rewards for {dense.Length} tokens to {where}, which has {response.Tokens.Length}: there must be one for each.";
            if (Array.FindIndex(dense, value => !float.IsFinite(value)) is >= 0 and var token)
                return $"gave {NotFinite(dense[token])} to token {token + 1} of {where}: a reward must be a finite number.";
            if (NotFinite(score.Return) is { } sum) return $"gave rewards whose sum is {sum} for {where}: it must be a finite number{OfFloat32(score.Return)}.";
        }

        if (score.Parts is null) return $"gave no parts (null) for {where}: give an empty dictionary for a reward that is one thing.";
        if (score.Parts.Count != first.Parts.Count || score.Parts.Keys.Any(part => !first.Parts.ContainsKey(part)))
            return $"gave the parts {Names(score)} for {where} and {Names(first)} for the first: they must be the same for all.";
        foreach (var (part, value) in score.Parts)
            if (NotFinite(value) is { } wrong) return $"gave {wrong} as its part '{part}' for {where}: a score must be a finite number{OfFloat32(value)}.";
        return null;
    }

    /// <summary>A number that training can't compute with, as text.</summary>
    private static string? NotFinite(double value) => float.IsFinite((float)value) ? null : FormattableString.Invariant($"{value}");

    private static string OfFloat32(double value) => double.IsFinite(value) ? " of float32" : "";

    private static string Names(RewardScore score) => score.Parts.Count == 0 ? "(none)" : string.Join(", ", score.Parts.Keys.Select(part => $"'{part}'"));
}
