using Rlgf.Models.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// A weight that states are multiplied with. Where no gradient is asked and there are few rows, as where text is written, that is done with a packed copy (<see cref="PackedWeight"/>).
/// </summary>
/// <param name="weight">[out, in], or [in, out] where it is transposed; not owned.</param>
/// <param name="isTransposed">Whether it is stored [in, out].</param>
internal sealed class ProductWeight(Parameter weight, bool isTransposed = false) : IDisposable
{
    private readonly PackedWeight _packed = new([weight], isTransposed);

    /// <summary>x Wᵀ + b, in x's type: a weight of another (an adapter's, which is float32 whatever its base is) is rounded to it, and its gradient is of its own.</summary>
    /// <param name="x">[…, in].</param>
    /// <param name="bias">[out]; null for none.</param>
    /// <returns>[…, out].</returns>
    public Tensor Multiply(Tensor x, Tensor? bias)
    {
        if (_packed.TryMultiply(x, bias) is { } product) return product;
        if (Gradients.AreInPlace && !isTransposed && weight.requires_grad && weight.dtype == x.dtype && x.requires_grad && x.dim() == 2 && is_grad_enabled())
        {
            var y = GradientInPlace.apply(x, new Held(weight));
            return bias is null ? y : y.AddInPlace(bias);
        }
        using var rounded = weight.dtype == x.dtype ? null : weight.to_type(x.dtype);
        Tensor factor = rounded ?? weight;
        return !isTransposed ? nn.functional.linear(x, factor, bias) : bias is null ? x.matmul(factor) : addmm(bias, x, factor, 1, 1);
    }

    public void Dispose() => _packed.Dispose();

    /// <summary>A weight that the graph knows nothing of.</summary>
    private sealed record Held(Parameter Weight);

    /// <summary>x Wᵀ whose backward pass adds dyᵀ x to W's gradient itself (<see cref="Gradients.InPlace"/>).</summary>
    private sealed class GradientInPlace : autograd.SingleTensorFunction<GradientInPlace>
    {
        private const string OfWeight = "weight", Result = "result";

        public override string Name => nameof(GradientInPlace);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (x, held) = ((Tensor)vars[0], (Held)vars[1]);
            ctx.save_for_backward([x]);
            ctx.save_data(OfWeight, held);
            using var constant = x.detach();
            return nn.functional.linear(constant, held.Weight.detach());
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var weight = ((Held)ctx.get_data(OfWeight)).Weight;
            using var scope = NewDisposeScope();
            using var gradients = no_grad();
            Tensor result;
            try
            {
                var x = ctx.get_saved_variables()[0];
                if (weight.grad is { } sum) sum.addmm_(grad_output.t(), x, 1, 1);
                else weight.grad = grad_output.t().mm(x);
                result = grad_output.mm(weight);
            }
            catch (Exception exception)
            {
                Gradients.Fail(exception);
                result = TensorNumbers.Filled([grad_output.size(0), weight.size(1)], double.NaN, grad_output.device).to_type(grad_output.dtype);
            }
            // Native code copies it after this has returned: until then something must hold it.
            result = result.MoveToOuterDisposeScope();
            ctx.save_data(Result, new[] { result });
            return [result, null!];
        }
    }
}

/// <summary>Weights that the same states are multiplied with, one after the other in one packed copy (<see cref="PackedProducts"/>), which is made when it is first needed and made anew when one of them has changed since.</summary>
/// <remarks>Which way is taken depends on the product's shape only, never on what was computed before: a run that was interrupted goes on with the same numbers.</remarks>
/// <param name="weights">[out, in] each, or [in, out] where they are transposed; not owned.</param>
/// <param name="isTransposed">Whether they are stored [in, out].</param>
/// <param name="biases">[out] each, added to the products; null where <see cref="TryMultiply"/> is given its own.</param>
internal sealed class PackedWeight(Parameter[] weights, bool isTransposed = false, Parameter[]? biases = null) : IDisposable
{
    /// <summary>Beyond as many rows a product takes so long that the copy of the weight is a few hundredths of it, which a second copy in memory isn't worth.</summary>
    public const int MostRows = 256;

    private readonly Lock _gate = new();
    private Tensor? _packed;
    private Tensor? _bias;
    private ScalarType _type;
    private long _version;

    /// <summary>x Wᵀ + b.</summary>
    /// <param name="x">[…, in].</param>
    /// <param name="bias">[out] of all weights; null for their own, or none.</param>
    /// <returns>[…, out], all weights' one after the other; null where it is to be done without packing.</returns>
    public Tensor? TryMultiply(Tensor x, Tensor? bias)
    {
        if (is_grad_enabled())
        {
            // What is being trained changes before it writes again.
            if (_packed is not null && weights[0].requires_grad) Dispose();
            return null;
        }

        return IsFewRows(x) && PackedProducts.CanPack(weights[0], x.dtype) ? PackedProducts.Multiply(x, Packed(x.dtype), bias ?? _bias) : null;
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _packed?.Dispose();
            _bias?.Dispose();
            (_packed, _bias) = (null, null);
        }
    }

    private static bool IsFewRows(Tensor x)
    {
        var numbers = x.numel();
        return numbers > 0 && numbers <= MostRows * x.size(-1) && x.dim() > 1;
    }

    private Tensor Packed(ScalarType type)
    {
        lock (_gate)
        {
            // A version only grows, and so does their sum.
            long version = 0;
            foreach (var parameter in weights) version += PackedProducts.VersionOf(parameter);
            foreach (var parameter in biases ?? []) version += PackedProducts.VersionOf(parameter);
            if (_packed is not null && version == _version && type == _type) return _packed;
            _packed?.Dispose();
            _bias?.Dispose();
            _bias = biases is null ? null : cat(biases).DetachFromDisposeScope();
            using var scope = NewDisposeScope();
            var joined = (weights.Length == 1 ? weights[0] : cat(weights, isTransposed ? 1 : 0)).to_type(type);
            _packed = PackedProducts.Pack(isTransposed ? joined.t() : joined).DetachFromDisposeScope();
            (_version, _type) = (version, type);
            return _packed;
        }
    }
}
