using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// A weight that states are multiplied with. Where no gradient is asked and there are few rows, as where text is written, that is done with a packed copy (<see cref="PackedProducts"/>), which is made when it is first needed
/// and made anew when the weight has changed since.
/// </summary>
/// <remarks>Which way is taken depends on the product's shape only, never on what was computed before: a run that was interrupted goes on with the same numbers.</remarks>
/// <param name="weight">[out, in], or [in, out] where it is transposed; not owned.</param>
/// <param name="isTransposed">Whether it is stored [in, out].</param>
internal sealed class ProductWeight(Parameter weight, bool isTransposed = false) : IDisposable
{
    /// <summary>Beyond as many rows a product takes so long that the copy of the weight is a few hundredths of it, which a second copy in memory isn't worth.</summary>
    private const int MostRows = 256;

    private readonly Lock _gate = new();
    private Tensor? _packed;
    private long _version;

    /// <summary>x Wᵀ + b.</summary>
    /// <param name="x">[…, in].</param>
    /// <param name="bias">[out]; null for none.</param>
    /// <returns>[…, out].</returns>
    public Tensor Multiply(Tensor x, Tensor? bias)
    {
        if (is_grad_enabled())
        {
            // What is being trained changes before it writes again.
            if (_packed is not null && weight.requires_grad) Dispose();
        }
        else if (IsFewRows(x) && PackedProducts.CanPack(weight))
        {
            return PackedProducts.Multiply(x, Packed(), bias);
        }

        return !isTransposed ? nn.functional.linear(x, weight, bias) : bias is null ? x.matmul(weight) : addmm(bias, x, weight, 1, 1);
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _packed?.Dispose();
            _packed = null;
        }
    }

    private bool IsFewRows(Tensor x)
    {
        var numbers = x.numel();
        return numbers > 0 && numbers <= MostRows * x.size(-1) && x.dim() > 1 && x.dtype == weight.dtype;
    }

    private Tensor Packed()
    {
        lock (_gate)
        {
            var version = PackedProducts.VersionOf(weight);
            if (_packed is not null && version == _version) return _packed;
            _packed?.Dispose();
            using var turned = isTransposed ? weight.t() : null;
            _packed = PackedProducts.Pack(turned ?? weight).DetachFromDisposeScope();
            _version = version;
            return _packed;
        }
    }
}
