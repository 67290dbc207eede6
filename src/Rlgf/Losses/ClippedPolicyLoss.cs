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

    /// <summary>Number of those whose ratio is held back: clipped, so that they pass no gradient, or bounded as a weight (<see cref="PolicySurrogate.Cispo"/>).</summary>
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
/// <param name="ClipFraction">Share of tokens whose ratio is held back: clipped, so that they pass no gradient, or bounded as a weight (<see cref="PolicySurrogate.Cispo"/>).</param>
/// <param name="MeanRatio">Mean of π/π_old of the tokens, whatever level the loss takes it at.</param>
/// <param name="ApproxKlK1">Mean of log π_old − log π, in nats: unbiased for KL(π_old‖π), may be negative.</param>
/// <param name="ApproxKlK2">Mean of (log π − log π_old)²/2, in nats: biased, small variance.</param>
/// <param name="ApproxKlK3">Mean of ratio − 1 − log ratio, in nats: unbiased for KL(π_old‖π), never negative.</param>
public readonly record struct PolicyLossStatistics(
    long Tokens, double ClipFraction, double MeanRatio, double ApproxKlK1, double ApproxKlK2, double ApproxKlK3);

/// <summary>The clipped surrogate of PPO.</summary>
/// <remarks>
/// Schulman, Wolski, Dhariwal, Radford, Klimov, "Proximal Policy Optimization Algorithms" (arXiv 1707.06347), equation 7, with the sign of a loss:
/// max(−Â ρ, −Â clip(ρ, 1 − c, 1 + c)), ρ = exp(log π − log π_old). Its relatives differ by <see cref="PolicyLossSettings"/>.
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
        LossReduction reduction = LossReduction.TokenMean, double? denominator = null) =>
        Compute(logProbs, oldLogProbs, advantages, mask, new PolicyLossSettings { ClipRange = clipRange, Reduction = reduction }, denominator);

    /// <summary>The same with a choice of ratio, surrogate and bounds.</summary>
    /// <param name="logProbs">[B, A]: log π of the response's tokens, differentiable.</param>
    /// <param name="oldLogProbs">[B, A]: log-probabilities under the distribution that was sampled; a constant.</param>
    /// <param name="advantages">[B, A]: Â; a constant.</param>
    /// <param name="mask">[B, A]: true (or not 0) means included. Nothing outside it is read.</param>
    /// <param name="settings">The axes of the loss.</param>
    /// <param name="denominator">As above; must be given for <see cref="LossReduction.MaxLength"/>.</param>
    /// <returns>The loss and statistics; an empty mask gives a loss of exactly 0 and a gradient of 0.</returns>
    /// <exception cref="InputException">A range isn't above 0, or the dual clip lies within it.</exception>
    public static PolicyLoss Compute(Tensor logProbs, Tensor oldLogProbs, Tensor advantages, Tensor mask, PolicyLossSettings settings, double? denominator = null)
    {
        Shape.RequireMatrix(logProbs, nameof(logProbs));
        Shape.RequireSame(oldLogProbs, logProbs, nameof(oldLogProbs));
        Shape.RequireSame(advantages, logProbs, nameof(advantages));
        Shape.RequireSame(mask, logProbs, nameof(mask));
        if (!(settings.ClipRange > 0)) throw new InputException($"the policy's clip range is {settings.ClipRange}: it must be above 0, 0.2 is usual.");
        if (!(settings.High > 0)) throw new InputException($"the policy's clip range above 1 is {settings.ClipRangeHigh}: it must be above 0, 0.28 is usual.");
        if (!settings.IsDualClipBeyondTheRange) throw new InputException($"the dual clip is {settings.DualClip}: it must be above {1 + settings.High}, where the clip range ends; 3 is usual.");

        using var scope = NewDisposeScope();
        var included = mask.to(ScalarType.Bool);
        var advantage = advantages.detach().KeepWhere(included);
        var ratio = ImportanceRatio.Log(logProbs, oldLogProbs, included, settings.Ratio).exp();
        var (terms, isBounded) = settings.Surrogate switch
        {
            PolicySurrogate.Clipped => Clipped(advantage, ratio, settings),
            PolicySurrogate.Cispo => Cispo(advantage, ratio, logProbs.KeepWhere(included), settings),
            _ => throw new InputException($"surrogate {settings.Surrogate} is unknown: use {string.Join(", ", Enum.GetNames<PolicySurrogate>())}."),
        };
        var loss = MaskedReduction.Apply(terms, included, settings.Reduction, denominator);
        return new(loss.MoveToOuterDisposeScope(), new(Sums(included, logProbs - oldLogProbs, isBounded).MoveToOuterDisposeScope()));
    }

    private static (Tensor Terms, Tensor IsBounded) Clipped(Tensor advantage, Tensor ratio, PolicyLossSettings settings)
    {
        var plain = -advantage * ratio;
        var clipped = -advantage * ratio.Clamp(1 - settings.ClipRange, 1 + settings.High);
        var (terms, isBounded) = (maximum(plain, clipped), clipped > plain);
        if (settings.DualClip is not { } bound) return (terms, isBounded);
        // Below the bound and for good actions nothing changes: the bound lies beyond the clip range.
        var most = advantage.abs().Multiply(bound);
        return (minimum(terms, most), isBounded.bitwise_or(terms > most));
    }

    private static (Tensor Terms, Tensor IsBounded) Cispo(Tensor advantage, Tensor ratio, Tensor logProbs, PolicyLossSettings settings)
    {
        var weight = ratio.detach();
        var bounded = weight.Clamp(0, 1 + settings.High);
        return (-advantage * bounded * logProbs, weight > bounded);
    }

    private static Tensor Sums(Tensor included, Tensor ofTokens, Tensor isBounded)
    {
        using var noGradient = no_grad();
        var logRatio = ofTokens.detach().KeepWhere(included);
        var ratio = logRatio.exp();
        // Outside the mask the log-ratio is 0 and nothing is bounded, so that all sums but the ratio's are right as they are.
        return stack([
            included.sum().to(ScalarType.Float64),
            isBounded.sum().to(ScalarType.Float64),
            ratio.KeepWhere(included).sum().to(ScalarType.Float64),
            (-logRatio).sum().to(ScalarType.Float64),
            (logRatio.Multiply(0.5) * logRatio).sum().to(ScalarType.Float64),
            (ratio.Subtract(1) - logRatio).sum().to(ScalarType.Float64),
        ]);
    }
}
