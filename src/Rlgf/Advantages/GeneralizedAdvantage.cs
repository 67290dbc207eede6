using Rlgf.Losses;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Advantages;

/// <summary>How good each action was, and what the critic should have said. Constants: no gradient flows through them.</summary>
/// <param name="Advantages">[B, A]: Â, 0 beyond a row's length.</param>
/// <param name="Returns">[B, A]: Â + V, the critic's target, 0 beyond a row's length.</param>
public sealed record AdvantageEstimate(Tensor Advantages, Tensor Returns);

/// <summary>Generalised advantage estimation.</summary>
/// <remarks>
/// Schulman, Moritz, Levine, Jordan, Abbeel, "High-Dimensional Continuous Control Using Generalized Advantage Estimation" (arXiv 1506.02438), equation 16, by its backward
/// recursion: δ_t = r_t + γ V_{t+1} − V_t, Â_t = δ_t + γλ Â_{t+1}.
/// </remarks>
public static class GeneralizedAdvantage
{
    /// <summary>Estimates advantages and returns over the first <paramref name="lengths"/> steps of each row.</summary>
    /// <param name="values">[B, A], floating point: V(s_t), the critic before token t.</param>
    /// <param name="rewards">[B, A]: r_t, shaped.</param>
    /// <param name="lengths">[B], integers in 0…A: number of tokens of each response. What lies beyond is never read: it may be NaN.</param>
    /// <param name="gamma">γ, the discount, 0…1.</param>
    /// <param name="lambda">λ, 0 (one step: low variance, biased by the critic's error) … 1 (the whole return).</param>
    /// <param name="valueAfterLast">
    /// [B]: V after the last token, from which a row that was cut goes on. Null: 0 for all rows, a cut counts as an end (the default of the algorithm). An ended row ignores it.
    /// </param>
    /// <param name="ended">[B], bool: the row ended by itself, it wasn't cut. Needed with <paramref name="valueAfterLast"/>.</param>
    /// <returns>Advantages and returns, of the values' dtype and device.</returns>
    public static AdvantageEstimate Estimate(
        Tensor values, Tensor rewards, Tensor lengths, double gamma, double lambda, Tensor? valueAfterLast = null, Tensor? ended = null)
    {
        Shape.RequireMatrix(values, nameof(values));
        Shape.RequireSame(rewards, values, nameof(rewards));
        Shape.RequireRows(lengths, values, nameof(lengths));
        if (!(gamma is >= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(gamma), gamma, "γ is between 0 and 1.");
        if (!(lambda is >= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(lambda), lambda, "λ is between 0 and 1.");

        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        long rows = values.size(0), steps = values.size(1);
        var position = TensorNumbers.Range(steps, values.device).unsqueeze(0);
        var length = lengths.to(ScalarType.Int64, values.device).unsqueeze(1);
        var isInside = position < length;
        var value = values.KeepWhere(isInside);

        // V_{t+1}: the value one step on, 0 at the end, or where a cut row would have gone on from.
        var next = cat([value, zeros([rows, 1], value.dtype, value.device)], 1).narrow(1, 1, steps);
        if (valueAfterLast is not null)
        {
            if (ended is null) throw new ArgumentNullException(nameof(ended), "Which rows ended must be known where values after the last token are given.");
            Shape.RequireRows(valueAfterLast, values, nameof(valueAfterLast));
            Shape.RequireRows(ended, values, nameof(ended));
            var beyond = valueAfterLast.to(value.dtype, value.device).KeepWhere(ended.to(ScalarType.Bool, value.device).bitwise_not());
            next = where(position == length.Subtract(1), beyond.unsqueeze(1), next);
        }

        var delta = (rewards.Add(next.Multiply(gamma)) - value).KeepWhere(isInside);
        var advantages = zeros_like(delta);
        var later = zeros([rows], delta.dtype, delta.device);
        for (var t = steps - 1; t >= 0; t--)
        {
            // Beyond the length δ is 0, so that nothing has piled up when the recursion reaches a row's last token.
            later = delta.select(1, t).Add(later.Multiply(gamma * lambda));
            advantages.select(1, t).copy_(later);
        }
        return new(advantages.MoveToOuterDisposeScope(), advantages.Add(value).MoveToOuterDisposeScope());
    }
}
