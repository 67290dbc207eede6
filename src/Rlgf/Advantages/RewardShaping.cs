using Rlgf.Losses;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Advantages;

/// <summary>From a score of the whole response to a reward per token, with the penalty for leaving the reference.</summary>
/// <remarks>
/// Ziegler et al. 2019 (arXiv 1909.08593), equation 2, token by token as in Chang et al. 2023 (arXiv 2306.11816). Only tokens that the policy wrote are penalised: how the guide
/// writes is not the policy's doing.
/// </remarks>
public static class RewardShaping
{
    /// <summary>The score on the row's last token, whoever wrote it, minus coefficient · k on the policy's tokens.</summary>
    /// <param name="score">[B]: one score per response.</param>
    /// <param name="logProbs">[B, A]: log π of the response's tokens.</param>
    /// <param name="referenceLogProbs">[B, A]: log π_0 of the same tokens.</param>
    /// <param name="authorIsPolicy">[B, A]: true (or not 0) where the policy wrote the token; what it says beyond the length doesn't matter.</param>
    /// <param name="lengths">[B], integers in 0…A: number of tokens of each response. Nothing beyond is read.</param>
    /// <param name="coefficient">Of the penalty, 0 or above.</param>
    /// <param name="estimator">The estimate of the divergence at a token.</param>
    /// <returns>[B, A], constants; 0 beyond a row's length. A row of length 0 has no token to bear its score: all 0.</returns>
    public static Tensor Apply(
        Tensor score, Tensor logProbs, Tensor referenceLogProbs, Tensor authorIsPolicy, Tensor lengths, double coefficient, KlEstimator estimator = KlEstimator.K1)
    {
        Shape.RequireMatrix(logProbs, nameof(logProbs));
        Shape.RequireRows(score, logProbs, nameof(score));
        Shape.RequireRows(lengths, logProbs, nameof(lengths));
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var position = arange(logProbs.size(1), ScalarType.Int64, logProbs.device).unsqueeze(0);
        var isLast = position == lengths.to(ScalarType.Int64, logProbs.device).unsqueeze(1) - 1;
        var atEnd = score.to(logProbs.dtype, logProbs.device).unsqueeze(1).expand_as(isLast).KeepWhere(isLast);
        return ApplyPerToken(atEnd, logProbs, referenceLogProbs, authorIsPolicy, lengths, coefficient, estimator).MoveToOuterDisposeScope();
    }

    /// <summary>The same for a reward that is given token by token.</summary>
    /// <param name="rewards">[B, A]: unshaped rewards; nothing beyond a row's length is read.</param>
    /// <param name="logProbs">[B, A]: log π of the response's tokens.</param>
    /// <param name="referenceLogProbs">[B, A]: log π_0 of the same tokens.</param>
    /// <param name="authorIsPolicy">[B, A]: true (or not 0) where the policy wrote the token.</param>
    /// <param name="lengths">[B], integers in 0…A.</param>
    /// <param name="coefficient">Of the penalty, 0 or above.</param>
    /// <param name="estimator">The estimate of the divergence at a token.</param>
    /// <returns>[B, A], constants; 0 beyond a row's length.</returns>
    public static Tensor ApplyPerToken(
        Tensor rewards, Tensor logProbs, Tensor referenceLogProbs, Tensor authorIsPolicy, Tensor lengths, double coefficient, KlEstimator estimator = KlEstimator.K1)
    {
        Shape.RequireMatrix(logProbs, nameof(logProbs));
        Shape.RequireSame(rewards, logProbs, nameof(rewards));
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var penalties = Penalties(logProbs, referenceLogProbs, authorIsPolicy, lengths, coefficient, estimator);
        return (rewards.KeepWhere(IsInside(logProbs, lengths)) - penalties).MoveToOuterDisposeScope();
    }

    /// <summary>The penalties alone: coefficient · k on the policy's tokens.</summary>
    /// <param name="logProbs">[B, A]: log π of the response's tokens.</param>
    /// <param name="referenceLogProbs">[B, A]: log π_0 of the same tokens.</param>
    /// <param name="authorIsPolicy">[B, A]: true (or not 0) where the policy wrote the token.</param>
    /// <param name="lengths">[B], integers in 0…A. Nothing beyond is read.</param>
    /// <param name="coefficient">Of the penalty, 0 or above.</param>
    /// <param name="estimator">The estimate of the divergence at a token.</param>
    /// <returns>[B, A], constants; 0 beyond a row's length and where the policy did not write.</returns>
    public static Tensor Penalties(
        Tensor logProbs, Tensor referenceLogProbs, Tensor authorIsPolicy, Tensor lengths, double coefficient, KlEstimator estimator = KlEstimator.K1)
    {
        Shape.RequireMatrix(logProbs, nameof(logProbs));
        Shape.RequireSame(authorIsPolicy, logProbs, nameof(authorIsPolicy));
        Shape.RequireRows(lengths, logProbs, nameof(lengths));
        if (!(coefficient >= 0 && double.IsFinite(coefficient))) throw new ArgumentOutOfRangeException(nameof(coefficient), coefficient, "The KL coefficient is 0 or above.");
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var isPenalised = IsInside(logProbs, lengths).logical_and(authorIsPolicy.to(ScalarType.Bool));
        return (coefficient * KlDivergence.Estimate(logProbs, referenceLogProbs, estimator).KeepWhere(isPenalised)).MoveToOuterDisposeScope();
    }

    private static Tensor IsInside(Tensor like, Tensor lengths) => arange(like.size(1), ScalarType.Int64, like.device).unsqueeze(0) < lengths.to(ScalarType.Int64, like.device).unsqueeze(1);
}
