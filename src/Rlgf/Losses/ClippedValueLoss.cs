using Rlgf.Base;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Losses;

/// <summary>The value loss of some rows.</summary>
/// <param name="Loss">Scalar, differentiable.</param>
/// <param name="Tokens">[] int64: number of included tokens, where the loss is.</param>
/// <param name="Clipped">[] int64: number of those whose clipped term is strictly the larger one; null where nothing is clipped.</param>
public sealed record ValueLoss(Tensor Loss, Tensor Tokens, Tensor? Clipped);

/// <summary>Half the squared error of the critic, optionally clipped around its old prediction as OpenAI's PPO does.</summary>
/// <remarks>
/// ½ · reduction of max((v − R)², (clip(v, v_old − c, v_old + c) − R)²). The clip is not in the PPO paper (arXiv 1707.06347, equation 9 has the plain square);
/// it comes from openai/baselines, ppo2, and is described in Huang et al., "The 37 Implementation Details of PPO" (2022), detail 9.
/// A token whose value moved further than c and whose clipped term is the larger one passes no gradient.
/// </remarks>
public static class ClippedValueLoss
{
    /// <summary>Computes the loss of the tokens that <paramref name="mask"/> includes: those of the roll-out.</summary>
    /// <param name="values">[B, A]: V, differentiable.</param>
    /// <param name="oldValues">[B, A]: V when the rows were generated; a constant, read only if there is a clip range.</param>
    /// <param name="returns">[B, A]: R, a constant.</param>
    /// <param name="mask">[B, A]: true (or not 0) means included. Nothing outside it is read.</param>
    /// <param name="clipRange">c, above 0, in units of the reward; null leaves the error unclipped.</param>
    /// <param name="reduction">From tokens to one number.</param>
    /// <param name="denominator">For a part of a larger batch: <see cref="MaskedReduction.Denominator"/> of the whole, so that the parts' losses sum to the whole's.</param>
    /// <returns>The loss and statistics; an empty mask gives a loss of exactly 0 and a gradient of 0.</returns>
    /// <exception cref="InputException">The clip range isn't above 0.</exception>
    public static ValueLoss Compute(
        Tensor values, Tensor oldValues, Tensor returns, Tensor mask, double? clipRange,
        LossReduction reduction = LossReduction.TokenMean, double? denominator = null)
    {
        Shape.RequireMatrix(values, nameof(values));
        Shape.RequireSame(oldValues, values, nameof(oldValues));
        Shape.RequireSame(returns, values, nameof(returns));
        Shape.RequireSame(mask, values, nameof(mask));
        if (clipRange is { } range && !(range > 0))
            throw new InputException($"the value function's clip range is {range}: it must be above 0, or absent for no clipping.");

        using var scope = NewDisposeScope();
        var included = mask.to(ScalarType.Bool);
        var value = values.KeepWhere(included);
        var target = returns.detach().KeepWhere(included);
        var error = (value - target).Square();
        Tensor? isClipped = null;
        if (clipRange is { } c)
        {
            var old = oldValues.detach().KeepWhere(included);
            var clipped = (value.clamp(old.Subtract(c), old.Add(c)) - target).Square();
            isClipped = clipped > error;
            error = maximum(error, clipped);
        }

        var loss = MaskedReduction.Apply(error, included, reduction, denominator).Multiply(0.5);
        return new(loss.MoveToOuterDisposeScope(), included.sum().MoveToOuterDisposeScope(), isClipped?.sum().MoveToOuterDisposeScope());
    }
}
