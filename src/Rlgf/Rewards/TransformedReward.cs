using Rlgf.Base;
using Rlgf.Prompts;

namespace Rlgf.Rewards;

/// <summary>What is made of a score.</summary>
public enum ScoreTransform
{
    /// <summary>1 − x: of what is better when lower.</summary>
    Complement,

    /// <summary>1 / (1 + e^−x): any score within 0 to 1.</summary>
    Sigmoid,

    /// <summary>ln(1 + x) of scores from 0 on: large ones count less.</summary>
    LogOnePlus,

    /// <summary>√x of scores from 0 on.</summary>
    SquareRoot,

    /// <summary>x² with the sign of x.</summary>
    Square,
}

/// <summary>A reward's scores transformed, then kept within limits: those of whole responses; what single tokens earn stays as it is.</summary>
/// <param name="reward">The reward.</param>
/// <param name="transform">What is made of its scores; null for nothing.</param>
/// <param name="atLeast">What lower scores become; null for no limit.</param>
/// <param name="atMost">What higher scores become; null for no limit.</param>
public sealed class TransformedReward(IReward reward, ScoreTransform? transform, double? atLeast, double? atMost) : IReward
{
    /// <inheritdoc/>
    public string Name => reward.Name;

    /// <summary>The reward whose scores are transformed.</summary>
    public IReward Reward => reward;

    /// <inheritdoc/>
    public async Task<IReadOnlyList<RewardScore>> ScoreAsync(IReadOnlyList<Response> responses, CancellationToken cancellationToken)
    {
        var scores = await CheckedScores.OfAsync(reward, responses, cancellationToken).ConfigureAwait(false);
        return [.. scores.Select((score, row) => score with
        {
            Total = Within(Transformed(transform is ScoreTransform.LogOnePlus or ScoreTransform.SquareRoot ? NotNegative(score.Total, responses[row]) : score.Total)),
        })];
    }

    /// <summary>Between which numbers its scores lie, given those of its reward; null where one of them is not known.</summary>
    internal (double Least, double Most)? Range((double Least, double Most)? own)
    {
        var isPositive = transform is ScoreTransform.LogOnePlus or ScoreTransform.SquareRoot;
        var (one, other) = (Transformed(isPositive ? Math.Max(0, own?.Least ?? 0) : own?.Least ?? double.NegativeInfinity), Transformed(isPositive ? Math.Max(0, own?.Most ?? double.PositiveInfinity) : own?.Most ?? double.PositiveInfinity));
        var (least, most) = (Within(Math.Min(one, other)), Within(Math.Max(one, other)));
        return double.IsFinite(least) && double.IsFinite(most) ? (least, most) : null;
    }

    private double Within(double score) => Math.Min(atMost ?? double.PositiveInfinity, Math.Max(atLeast ?? double.NegativeInfinity, score));

    /// <summary>Each of them rises or falls throughout.</summary>
    private double Transformed(double score) => transform switch
    {
        ScoreTransform.Complement => 1 - score,
        ScoreTransform.Sigmoid => 1 / (1 + Math.Exp(-score)),
        ScoreTransform.LogOnePlus => Math.Log(1 + score),
        ScoreTransform.SquareRoot => Math.Sqrt(score),
        ScoreTransform.Square => score * Math.Abs(score),
        _ => score,
    };

    private double NotNegative(double score, Response response) => score >= 0 ? score
        : throw new InputException(FormattableString.Invariant($"the reward '{Name}' gave {score} for {OwnCode.Place(response.Prompt)}, and its transform is for scores from 0 on"));
}
