using Rlgf.Base;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Losses;

/// <summary>The policy loss of some rows.</summary>
/// <param name="Loss">Scalar, differentiable.</param>
/// <param name="Sums">What the included tokens looked like, without a gradient, where the loss is.</param>
public sealed record PolicyLoss(Tensor Loss, PolicyLossSums Sums)
{
    /// <summary>The means that the sums are of. Each look brings numbers to the host, and so waits for an accelerator.</summary>
    public PolicyLossStatistics Statistics => Sums.Statistics();
}

/// <summary>Sums over the tokens that the policy loss included, [] float64 each.</summary>
/// <param name="All">[6] float64: the sums one after another, to be read at once.</param>
public readonly record struct PolicyLossSums(Tensor All)
{
    /// <summary>Number of included tokens.</summary>
    public Tensor Tokens => All.select(0, 0);

    /// <summary>Number of those whose clipped term is strictly the larger one.</summary>
    public Tensor Clipped => All.select(0, 1);

    /// <summary>Sum of ratio − 1 − log ratio, nats.</summary>
    public Tensor ApproxKlK3 => All.select(0, 5);

    /// <summary>The means, on the host.</summary>
    internal PolicyLossStatistics Statistics()
    {
        var sums = All.HostArray<double>();
        var tokens = Math.Max(sums[0], 1);
        return new((long)sums[0], sums[1] / tokens, sums[2] / tokens, sums[3] / tokens, sums[4] / tokens, sums[5] / tokens);
    }
}

/// <summary>Means over the tokens that the policy loss included; all 0 where there were none.</summary>
/// <param name="Tokens">Number of included tokens.</param>
/// <param name="ClipFraction">Share of tokens whose clipped term is strictly the larger one: those pass no gradient.</param>
/// <param name="MeanRatio">Mean of π/π_old.</param>
/// <param name="ApproxKlK1">Mean of log π_old − log π, in nats: unbiased for KL(π_old‖π), may be negative.</param>
/// <param name="ApproxKlK2">Mean of (log π − log π_old)²/2, in nats: biased, small variance.</param>
/// <param name="ApproxKlK3">Mean of ratio − 1 − log ratio, in nats: unbiased for KL(π_old‖π), never negative.</param>
public readonly record struct PolicyLossStatistics(
    long Tokens, double ClipFraction, double MeanRatio, double ApproxKlK1, double ApproxKlK2, double ApproxKlK3);

/// <summary>The clipped surrogate of PPO.</summary>
/// <remarks>
/// Schulman, Wolski, Dhariwal, Radford, Klimov, "Proximal Policy Optimization Algorithms" (arXiv 1707.06347), equation 7, with the sign of a loss:
/// max(−Â ρ, −Â clip(ρ, 1 − c, 1 + c)), ρ = exp(log π − log π_old).
/// The KL estimates follow Schulman's note "Approximating KL Divergence" (joschu.net/blog/kl-approx.html).
/// </remarks>
public static class ClippedPolicyLoss
{
    /// <summary>Computes the loss of the tokens that <paramref name="mask"/> includes: those that the policy wrote.</summary>
    /// <param name="logProbs">[B, A]: log π of the response's tokens, differentiable.</param>
    /// <param name="oldLogProbs">[B, A]: log-probabilities under the distribution that was sampled; a constant.</param>
    /// <param name="advantages">[B, A]: Â; a constant.</param>
    /// <param name="mask">[B, A]: true (or not 0) means included. Nothing outside it is read.</param>
    /// <param name="clipRange">c, above 0.</param>
    /// <param name="reduction">From tokens to one number.</param>
    /// <param name="denominator">For a part of a larger batch: <see cref="MaskedReduction.Denominator"/> of the whole, so that the parts' losses sum to the whole's.</param>
    /// <returns>The loss and statistics; an empty mask gives a loss of exactly 0 and a gradient of 0.</returns>
    /// <exception cref="InputException">The clip range isn't above 0.</exception>
    public static PolicyLoss Compute(
        Tensor logProbs, Tensor oldLogProbs, Tensor advantages, Tensor mask, double clipRange,
        LossReduction reduction = LossReduction.TokenMean, double? denominator = null)
    {
        Shape.RequireMatrix(logProbs, nameof(logProbs));
        Shape.RequireSame(oldLogProbs, logProbs, nameof(oldLogProbs));
        Shape.RequireSame(advantages, logProbs, nameof(advantages));
        Shape.RequireSame(mask, logProbs, nameof(mask));
        if (!(clipRange > 0)) throw new InputException($"the policy's clip range is {clipRange}: it must be above 0, 0.2 is usual.");

        using var scope = NewDisposeScope();
        var included = mask.to(ScalarType.Bool);
        var advantage = advantages.detach().KeepWhere(included);
        var logRatio = (logProbs - oldLogProbs.detach()).KeepWhere(included);
        var ratio = logRatio.exp();
        var plain = -advantage * ratio;
        var clipped = -advantage * ratio.Clamp(1 - clipRange, 1 + clipRange);

        var loss = MaskedReduction.Apply(maximum(plain, clipped), included, reduction, denominator);
        return new(loss.MoveToOuterDisposeScope(), new(Sums(included, logRatio, ratio, clipped > plain).MoveToOuterDisposeScope()));
    }

    private static Tensor Sums(Tensor included, Tensor logRatio, Tensor ratio, Tensor isClipped)
    {
        using var noGradient = no_grad();
        // Outside the mask the log-ratio is 0 and nothing is clipped, so that all sums but the ratio's are right as they are.
        return stack([
            included.sum().to(ScalarType.Float64),
            isClipped.sum().to(ScalarType.Float64),
            ratio.KeepWhere(included).sum().to(ScalarType.Float64),
            (-logRatio).sum().to(ScalarType.Float64),
            (logRatio.Multiply(0.5) * logRatio).sum().to(ScalarType.Float64),
            (ratio.Subtract(1) - logRatio).sum().to(ScalarType.Float64),
        ]);
    }
}
