using Rlgf.Losses;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Advantages;

/// <summary>The penalty for leaving the reference, which is subtracted from the reward of each token.</summary>
/// <remarks>
/// Ziegler et al. 2019 (arXiv 1909.08593), equation 2, token by token as in Chang et al. 2023 (arXiv 2306.11816). Only tokens that the policy wrote are penalised: how the guide
/// writes is not the policy's doing.
/// </remarks>
public static class RewardShaping
{
    /// <summary>The penalty of each token: coefficient · k where the policy wrote it.</summary>
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
        var isPenalised = IsInside(logProbs, lengths).bitwise_and(authorIsPolicy.to(ScalarType.Bool));
        return KlDivergence.Estimate(logProbs, referenceLogProbs, estimator).KeepWhere(isPenalised).Multiply(coefficient).MoveToOuterDisposeScope();
    }

    private static Tensor IsInside(Tensor like, Tensor lengths) => TensorNumbers.Range(like.size(1), like.device).unsqueeze(0) < lengths.to(ScalarType.Int64, like.device).unsqueeze(1);
}
