using Rlgf.Base;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Losses;

/// <summary>How a loss per token [B, A] becomes one number. They differ in how much a token of a long row weighs.</summary>
public enum LossReduction
{
    /// <summary>Sum over the included tokens, divided by their number in the whole batch: every token weighs the same. DAPO (arXiv 2503.14476, section 3.3).</summary>
    TokenMean,

    /// <summary>Mean over rows of the rows' means; rows without an included token are left out: every row weighs the same. GRPO as published (arXiv 2402.03300).</summary>
    RowMean,

    /// <summary>Sums of the rows, divided by the number of all rows: the plain policy gradient, an estimate of the gradient of the expected return.</summary>
    RowSum,

    /// <summary>Sum over the included tokens, divided by the number of all rows times the longest response that may be written: no row's length matters. Dr. GRPO (Liu et al. 2025, arXiv 2503.20783, section 3.3).</summary>
    MaxLength,
}

/// <summary>Reductions of a value per token under a mask, exactly zero where nothing is included.</summary>
public static class MaskedReduction
{
    /// <summary>Reduces <paramref name="x"/> over the tokens that <paramref name="mask"/> includes.</summary>
    /// <param name="x">[B, A], floating point. What lies outside the mask is never read: it may be NaN.</param>
    /// <param name="mask">[B, A]: true (or not 0) means included.</param>
    /// <param name="reduction">How to reduce.</param>
    /// <param name="denominator">
    /// What to divide by, where the rows are a part of a larger batch: <see cref="Denominator"/> of the larger batch. The parts' results then sum to the
    /// whole's, and so do the gradients. Left out: that of these rows.
    /// </param>
    /// <returns>A scalar; 0 with a gradient of 0 where the mask is empty.</returns>
    public static Tensor Apply(Tensor x, Tensor mask, LossReduction reduction, double? denominator = null)
    {
        Shape.RequireMatrix(x, nameof(x));
        Shape.RequireSame(mask, x, nameof(mask));
        if (denominator is { } given && !(given >= 0 && double.IsFinite(given)))
            throw new ArgumentOutOfRangeException(nameof(denominator), given, "A denominator is a number of tokens or rows: 0 or more.");

        using var scope = NewDisposeScope();
        var included = mask.to(ScalarType.Bool);
        var kept = x.KeepWhere(included);
        var sum = reduction == LossReduction.RowMean
            ? (kept.sum(1) / included.sum(1).ClampMin(1).to(x.dtype)).sum()
            : kept.sum();
        // Nothing included: the sum is 0 already, and 0/0 must not happen.
        return sum.Divide(Math.Max(denominator ?? Denominator(mask, reduction), 1)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// What <see cref="Apply"/> divides by: the number of included tokens (token mean), of rows with an included token (row mean), of all rows (row sum), or of the tokens that all rows may have (max length).
    /// Computed once for a minibatch and handed to each of its micro-batches.
    /// </summary>
    /// <param name="mask">[B, A]: true (or not 0) means included.</param>
    /// <param name="reduction">The reduction that the denominator is for.</param>
    /// <param name="maxLength">The most tokens that a response may have; needed for <see cref="LossReduction.MaxLength"/>, as A is the longest that was written.</param>
    public static double Denominator(Tensor mask, LossReduction reduction, int? maxLength = null)
    {
        using var scope = NewDisposeScope();
        var included = mask.to(ScalarType.Bool);
        return reduction switch
        {
            LossReduction.TokenMean => included.sum().item<long>(),
            LossReduction.RowMean => included.any(1).sum().item<long>(),
            LossReduction.RowSum => mask.size(0),
            LossReduction.MaxLength => mask.size(0) * (double)(maxLength ?? throw new ArgumentNullException(nameof(maxLength), "The most tokens that a response may have must be known.")),
            _ => throw new InputException($"reduction {reduction} is unknown: use {string.Join(", ", Enum.GetNames<LossReduction>())}."),
        };
    }

    /// <summary>x where included, 0 elsewhere, with a gradient of exactly 0 there, whatever x holds (NaN and infinity too).</summary>
    internal static Tensor KeepWhere(this Tensor x, Tensor included) => x.MaskedFill(included.bitwise_not(), 0);
}
