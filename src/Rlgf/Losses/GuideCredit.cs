using Rlgf.Base;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Losses;

/// <summary>What the weight of a guide-written token's loss is made of.</summary>
public enum GuideCreditWeight
{
    /// <summary>w_t = clip(Â_t / rms(Â over the guide's tokens), 0, 3): tokens that turned out better than expected are imitated.</summary>
    Advantage,

    /// <summary>w_t = 1: plain imitation, for ablation.</summary>
    One,

    /// <summary>w_t = Â_t as it is, below 0 too: the guide's answer is a member of the group like any other. The loss is then divided as the policy's is, so that a token weighs the same whoever wrote it.</summary>
    Signed,
}

/// <summary>What of a guide-written token's probability p the loss makes larger.</summary>
public enum GuideCreditShape
{
    /// <summary>log p, as supervised training does: each token's gradient is its weight.</summary>
    LogProbability,

    /// <summary>p: the ratio to a guide that is taken to be certain of what it wrote. The gradient on log p is p, so that what the policy finds unlikely teaches nothing.</summary>
    Probability,

    /// <summary>p / (p + γ), whose gradient on log p, γ p / (p + γ)², is largest at p = γ: "policy shaping" (Yan et al. 2025, LUFFY, arXiv 2504.14945).</summary>
    Shaped,
}

/// <summary>Imitation of what the guide wrote, where it turned out better than the policy's own critic expected: the credit of adaptive guidance.</summary>
/// <remarks>
/// L = c · mean over the guide's tokens of w · (−log π), w = clip(Â / rms(Â over the guide's tokens), 0, 3), with Â from the same generalised advantage estimation and the
/// same V^π as the rest of the row, before any whitening: a shift would change which tokens are worth imitating.
/// Ours; related to self-imitation learning (Oh et al. 2018, arXiv 1806.05635), which also learns only from what beat the critic, and to advantage-weighted regression
/// (Peng et al. 2019, arXiv 1910.00177).
/// </remarks>
public static class GuideCredit
{
    /// <summary>The largest weight: one lucky token must not outweigh the batch.</summary>
    public const double LargestWeight = 3;

    /// <summary>The least that advantages are divided by, in units of the reward (as the ε of group advantages and of whitening): a rounding error is not imitated.</summary>
    public const double SmallestRms = 1e-4;

    /// <summary>
    /// The weights w, constants. Over all rows of an iteration at once: the root mean square is taken over everything given, so that weights made before the split into
    /// minibatches don't depend on the split.
    /// </summary>
    /// <param name="advantages">[B, A]: Â, not whitened.</param>
    /// <param name="guideMask">[B, A]: true (or not 0) where the guide wrote the token. Nothing outside it is read.</param>
    /// <param name="weighting">How to weight.</param>
    /// <returns>[B, A], 0 outside the mask, and everywhere if the advantages are all 0.</returns>
    public static Tensor Weights(Tensor advantages, Tensor guideMask, GuideCreditWeight weighting)
    {
        Shape.RequireMatrix(advantages, nameof(advantages));
        Shape.RequireSame(guideMask, advantages, nameof(guideMask));
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var included = guideMask.to(ScalarType.Bool);
        if (weighting == GuideCreditWeight.One) return included.to(advantages.dtype).MoveToOuterDisposeScope();
        if (weighting == GuideCreditWeight.Signed) return advantages.KeepWhere(included).MoveToOuterDisposeScope();
        if (weighting != GuideCreditWeight.Advantage)
            throw new InputException($"the guide credit's weight {weighting} is unknown: use {string.Join(", ", Enum.GetNames<GuideCreditWeight>())}.");

        var advantage = advantages.KeepWhere(included);
        var rms = (advantage.Square().sum() / included.sum().ClampMin(1).to(advantage.dtype)).sqrt();
        // All advantages 0: the weights are 0, not 0/0. All of them rounding errors: nearly 0.
        return (advantage / rms.ClampMin(SmallestRms)).Clamp(0, LargestWeight).MoveToOuterDisposeScope();
    }

    /// <summary>The loss of rows whose weights are known.</summary>
    /// <param name="logProbs">[B, A]: log π of the response's tokens, differentiable.</param>
    /// <param name="weights">[B, A]: from <see cref="Weights"/>; constants.</param>
    /// <param name="guideMask">[B, A]: true (or not 0) where the guide wrote the token. Nothing outside it is read.</param>
    /// <param name="coefficient">c, 0 or above.</param>
    /// <param name="denominator">For a part of a larger batch: the number of guide-written tokens of the whole, or what else the reduction divides by, so that the parts' losses sum to the whole's.</param>
    /// <param name="shape">What of a token's probability is made larger.</param>
    /// <param name="gamma">γ of <see cref="GuideCreditShape.Shaped"/>, above 0.</param>
    /// <param name="reduction">From tokens to one number.</param>
    /// <returns>A scalar; exactly 0 with a gradient of 0 where the guide wrote nothing.</returns>
    /// <exception cref="InputException">The coefficient is negative or not finite.</exception>
    public static Tensor Weighted(Tensor logProbs, Tensor weights, Tensor guideMask, double coefficient, double? denominator = null,
        GuideCreditShape shape = GuideCreditShape.LogProbability, double gamma = 0.1, LossReduction reduction = LossReduction.TokenMean)
    {
        Shape.RequireMatrix(logProbs, nameof(logProbs));
        Shape.RequireSame(weights, logProbs, nameof(weights));
        if (!(coefficient >= 0 && double.IsFinite(coefficient))) throw new InputException($"the coefficient of the guide's credit is {coefficient}: it must be 0 or above.");
        using var scope = NewDisposeScope();
        var wanted = shape switch
        {
            GuideCreditShape.LogProbability => logProbs,
            GuideCreditShape.Probability => logProbs.exp(),
            // 1 / (1 + γ / p) by the logarithm, which nothing rounds to 0.
            GuideCreditShape.Shaped => logProbs.Add(-Math.Log(gamma)).sigmoid(),
            _ => throw new InputException($"the guide credit's shape {shape} is unknown: use {string.Join(", ", Enum.GetNames<GuideCreditShape>())}."),
        };
        var loss = MaskedReduction.Apply(-wanted * weights.detach(), guideMask, reduction, denominator).Multiply(coefficient);
        return loss.MoveToOuterDisposeScope();
    }
}
