using Rlgf.Base;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Losses;

/// <summary>Estimators of KL(π‖π_0) from the drawn token alone, with d = log π − log π_0 and tokens drawn from π.</summary>
public enum KlEstimator
{
    /// <summary>d: unbiased, may be negative. The one that a KL penalty in the reward wants.</summary>
    K1,

    /// <summary>d²/2: biased, never negative. As a loss its expected gradient is that of KL(π‖π_0).</summary>
    K2,

    /// <summary>exp(−d) − 1 + d: unbiased, never negative. As a loss its expected gradient is that of KL(π_0‖π), the other direction.</summary>
    K3,
}

/// <summary>The Kullback–Leibler divergence between the policy and its reference, in nats.</summary>
/// <remarks>
/// The estimators are those of Schulman's note "Approximating KL Divergence" (joschu.net/blog/kl-approx.html); k3 as a loss is in GRPO (Shao et al. 2024,
/// arXiv 2402.03300, equation 4). An estimator of the divergence needn't be one of its gradient: k1 as a loss has an expected gradient of 0.
/// </remarks>
public static class KlDivergence
{
    /// <summary>The estimate at each token, differentiable in <paramref name="logProbs"/>.</summary>
    /// <param name="logProbs">Any shape, usually [B, A]: log π of the drawn tokens.</param>
    /// <param name="referenceLogProbs">The same shape: log π_0 of the same tokens.</param>
    /// <param name="estimator">Which estimator.</param>
    /// <returns>The same shape, nats.</returns>
    public static Tensor Estimate(Tensor logProbs, Tensor referenceLogProbs, KlEstimator estimator)
    {
        Shape.RequireSame(referenceLogProbs, logProbs, nameof(referenceLogProbs));
        using var scope = NewDisposeScope();
        var d = logProbs - referenceLogProbs;
        var k = estimator switch
        {
            KlEstimator.K1 => d,
            KlEstimator.K2 => d.Multiply(0.5) * d,
            // expm1, since exp(−d) − 1 loses all digits where d is small: where training starts.
            KlEstimator.K3 => (-d).expm1().Add(d),
            _ => throw new InputException($"KL estimator {estimator} is unknown: use {string.Join(", ", Enum.GetNames<KlEstimator>())}."),
        };
        return k.MoveToOuterDisposeScope();
    }
}
