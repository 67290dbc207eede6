using Rlgf.Advantages;
using Rlgf.Losses;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>The surrogate of PPO, or one of its relatives, on what the policy chose.</summary>
/// <param name="settings">The update.</param>
public sealed class ClippedPolicyTerm(UpdateSettings settings) : ILossTerm
{
    /// <summary>How far the policy is from what wrote its rows, as it is measured: nats a token.</summary>
    internal const string KlToOld = "policy/kl_to_old";

    /// <inheritdoc/>
    public string Name => "policy";

    /// <inheritdoc/>
    public TermOfRows Prepare(LearningBatch data)
    {
        var (mask, loss) = (data.Batch.TrainsPolicy, settings.PolicyLoss);
        var advantages = settings.WhitenAdvantages == true ? Whitening.Apply(data.Advantages, mask) : data.Advantages;
        if (data.Penalties is { } penalties) advantages = advantages - penalties;
        return new()
        {
            Mask = mask,
            Normaliser = loss.Reduction,
            Compute = (part, denominator) =>
            {
                var (value, sums) = ClippedPolicyLoss.Compute(part.LogProbs, part.Pick(data.Batch.LogProbs), part.Pick(advantages), part.Pick(mask), loss, denominator);
                return new(value, new(sums.Tokens, new Dictionary<string, Tensor> { ["policy/clip_fraction"] = sums.Clipped, [KlToOld] = sums.ApproxKlK3 }));
            },
        };
    }
}

/// <summary>Half the squared error of each row's critic on its roll-out.</summary>
/// <param name="settings">The update.</param>
public sealed class ValueTerm(UpdateSettings settings) : ILossTerm
{
    /// <inheritdoc/>
    public string Name => "value";

    /// <inheritdoc/>
    public TermOfRows? Prepare(LearningBatch data) => data is not { Returns: { } returns, Values: { } values } ? null : new()
    {
        Mask = data.Batch.IsRollOut,
        Weight = settings.ValueCoefficient,
        Normaliser = settings.PolicyLoss.Reduction,
        ReadsValues = true,
        Compute = (part, denominator) =>
        {
            var (loss, tokens, clipped) = ClippedValueLoss.Compute(
                part.Values, part.Pick(values), part.Pick(returns), part.Pick(data.Batch.IsRollOut), settings.ValueClipRange, settings.PolicyLoss.Reduction, denominator);
            return new(loss, clipped is null ? null : new(tokens, new Dictionary<string, Tensor> { ["critic/clip_fraction"] = clipped }));
        },
    };
}

/// <summary>Imitation of the guide's tokens that turned out well, each row by its own plan's coefficient, which is a part of what is logged.</summary>
/// <param name="weighting">How to weight.</param>
/// <param name="shape">What of a token's probability is made larger.</param>
/// <param name="gamma">γ of the shape.</param>
/// <param name="policyReduction">How the policy's loss is reduced; so is this one where its weights are signed.</param>
public sealed class GuideCreditTerm(
    GuideCreditWeight weighting, GuideCreditShape shape = GuideCreditShape.LogProbability, double gamma = 0.1, LossReduction policyReduction = LossReduction.TokenMean) : ILossTerm
{
    private readonly LossReduction _reduction = weighting == GuideCreditWeight.Signed ? policyReduction : LossReduction.TokenMean;

    /// <inheritdoc/>
    public string Name => "guide";

    /// <inheritdoc/>
    public TermOfRows? Prepare(LearningBatch data)
    {
        var coefficients = data.Batch.Rollouts.Select(rollout => rollout.Plan.GuideCredit).ToArray();
        if (coefficients.Max() is not (> 0 and var most)) return null;
        var mask = data.Batch.IsGuide;
        var weights = GuideCredit.Weights(data.Advantages, mask, weighting);
        // The largest coefficient is taken out of the sum, so that rows of one plan are multiplied by it once.
        if (coefficients.Any(coefficient => coefficient != most))
            weights = weights * tensor(Array.ConvertAll(coefficients, coefficient => (float)(coefficient / most)), device: weights.device).unsqueeze(1);
        return new()
        {
            Mask = mask,
            Normaliser = _reduction,
            Compute = (part, denominator) => new(GuideCredit.Weighted(part.LogProbs, part.Pick(weights), part.Pick(mask), most, denominator, shape, gamma, _reduction)),
        };
    }
}

/// <summary>The KL to the reference on the policy's tokens, where the penalty is a term of the loss.</summary>
/// <param name="settings">The penalty, with what is null filled in.</param>
/// <param name="ratio">What the ratio is taken of, by which the estimates are multiplied where the settings say so.</param>
public sealed class KlTerm(KlSettings settings, RatioLevel ratio = RatioLevel.Token) : ILossTerm
{
    /// <inheritdoc/>
    public string Name => "kl";

    /// <inheritdoc/>
    public TermOfRows? Prepare(LearningBatch data)
    {
        if (settings.Placement != KlPlacement.Loss || data.KlCoefficient <= 0) return null;
        var (batch, reduction) = (data.Batch, settings.Reduction ?? LossReduction.TokenMean);
        return new()
        {
            Mask = batch.IsPolicy,
            Weight = data.KlCoefficient,
            Normaliser = reduction,
            Compute = (part, denominator) =>
            {
                using var scope = NewDisposeScope();
                var kl = KlDivergence.Estimate(part.LogProbs, part.Pick(data.ReferenceLogProbs), settings.Estimator!.Value);
                if (settings.ImportanceWeighted) kl = kl * ImportanceRatio.Log(part.LogProbs, part.Pick(batch.LogProbs), part.Pick(batch.TrainsPolicy), ratio).exp();
                return new(MaskedReduction.Apply(kl, part.Pick(batch.IsPolicy), reduction, denominator).MoveToOuterDisposeScope());
            },
        };
    }
}
