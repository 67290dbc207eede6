using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Statistics;

namespace Rlgf.Rewards;

/// <summary>What is made of the scores of an ensemble's members.</summary>
public enum EnsembleScore
{
    /// <summary>Their mean.</summary>
    Mean,

    /// <summary>The least of them: the most cautious member decides, so that what one of them is fooled by is worth nothing.</summary>
    Minimum,

    /// <summary>Their mean minus k times their deviation: what the members disagree about is worth less.</summary>
    MeanMinusDeviations,
}

/// <summary>Several rewards of one thing as one, such as reward models of different seeds; they should have one unit, as normalised ones have. Each member's score is logged, and their deviation.</summary>
/// <remarks>Against over-optimisation, as Coste et al. 2023 (arXiv 2310.02743) measured it: the mean, the worst case, and the mean less what is uncertain (they take off the variance).</remarks>
/// <param name="name">Name for logs and reports.</param>
/// <param name="members">The rewards, two at least.</param>
/// <param name="score">What is made of their scores.</param>
/// <param name="deviations">k of <see cref="EnsembleScore.MeanMinusDeviations"/>.</param>
public sealed class EnsembleReward(string name, IReadOnlyList<IReward> members, EnsembleScore score, double deviations) : IReward
{
    /// <inheritdoc/>
    public string Name => name;

    /// <summary>The rewards.</summary>
    public IReadOnlyList<IReward> Members => members;

    /// <summary>What is made of their scores.</summary>
    public EnsembleScore Score => score;

    /// <summary>One score of several.</summary>
    /// <param name="scores">Scores of one response, two at least.</param>
    /// <param name="score">What is made of them.</param>
    /// <param name="deviations">k of <see cref="EnsembleScore.MeanMinusDeviations"/>; the deviation is a sample's (n − 1).</param>
    public static double Combined(IReadOnlyCollection<double> scores, EnsembleScore score, double deviations) => score switch
    {
        EnsembleScore.Mean => scores.Average(),
        EnsembleScore.Minimum => scores.Min(),
        EnsembleScore.MeanMinusDeviations => scores.Average() - (deviations * Spread.Deviation(scores)),
        _ => throw new InputException($"an ensemble's score {score} is unknown"),
    };

    /// <inheritdoc/>
    public async Task<IReadOnlyList<RewardScore>> ScoreAsync(IReadOnlyList<Response> responses, CancellationToken cancellationToken)
    {
        var answers = await Task.WhenAll(members.Select(member => CheckedScores.OfAsync(member, responses, cancellationToken))).ConfigureAwait(false);
        return [.. responses.Select((_, row) =>
        {
            double[] scores = [.. answers.Select(answer => answer[row].Return)];
            var parts = new Dictionary<string, double>();
            for (var member = 0; member < scores.Length; member++) parts[FormattableString.Invariant($"member_{member + 1}")] = scores[member];
            parts["deviation"] = Spread.Deviation(scores);
            return new RewardScore(Combined(scores, score, deviations), parts) { Problem = answers.Select(answer => answer[row].Problem).FirstOrDefault(problem => problem is not null) };
        })];
    }
}
