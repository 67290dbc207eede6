using Rlgf.Base;
using Rlgf.Losses;
using Rlgf.Models.Tensors;
using Rlgf.Statistics;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Advantages;

/// <summary>Scales advantages to mean 0 and variance 1 over the tokens that count.</summary>
public static class Whitening
{
    private const double Epsilon = 1e-8;

    /// <summary>(x − mean) / √(var + 1e-8), then + mean unless <paramref name="shiftMean"/>; mean and variance over the mask.</summary>
    /// <param name="x">[B, A], floating point. What lies outside the mask is never read: it may be NaN.</param>
    /// <param name="mask">[B, A]: true (or not 0) means included.</param>
    /// <param name="shiftMean">True: the mean becomes 0. False: it stays as it was.</param>
    /// <param name="unbiased">Divide the variance by n − 1, as TRL's masked_whiten does, and not by n. Undefined for one value.</param>
    /// <returns>[B, A], a constant; 0 outside the mask, and everywhere if nothing is included. Equal values have no variance: they become 0, or stay as they are.</returns>
    /// <exception cref="InputException">The unbiased variance of a single value is asked for.</exception>
    public static Tensor Apply(Tensor x, Tensor mask, bool shiftMean = true, bool unbiased = false)
    {
        Shape.RequireMatrix(x, nameof(x));
        Shape.RequireSame(mask, x, nameof(mask));
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var included = mask.to(ScalarType.Bool);
        var count = included.sum().item<long>();
        if (count == 0) return zeros_like(x).MoveToOuterDisposeScope();
        if (count == 1 && unbiased)
            throw new InputException("whitening with the unbiased variance needs two tokens and the batch has one: use the biased variance or a larger batch.");

        // Of equal numbers only the rounding of their mean would be left to scale.
        if (Spread.IsNone(x.masked_select(included).to(ScalarType.Float64).cpu().data<double>().ToArray()))
            return (shiftMean ? zeros_like(x) : x.KeepWhere(included)).MoveToOuterDisposeScope();
        var mean = x.KeepWhere(included).sum().Divide(count);
        var centred = (x - mean).KeepWhere(included);
        var variance = centred.Square().sum().Divide(unbiased ? count - 1 : count);
        var white = centred / variance.Add(Epsilon).sqrt();
        return (shiftMean ? white : white.Add(mean).KeepWhere(included)).MoveToOuterDisposeScope();
    }
}
