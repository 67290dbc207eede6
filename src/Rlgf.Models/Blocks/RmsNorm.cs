using Rlgf.Models.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>Divides each state by its root mean square and scales it: x / √(mean(x²) + ε) · w (Zhang and Sennrich 2019).</summary>
internal sealed class RmsNorm : nn.Module, INorm
{
    private readonly double _epsilon;
    private readonly bool _fromOne;
    private readonly bool _isScaled;
    private readonly Tensor _weight;

    /// <summary>Makes the norm.</summary>
    /// <param name="width">D.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="fromOne">Whether the stored weight is the scale's distance from 1, as in Gemma.</param>
    /// <param name="device">Where.</param>
    /// <param name="isScaled">Whether it has a weight; otherwise the scale is 1.</param>
    public RmsNorm(int width, double epsilon, bool fromOne, Device device, bool isScaled = true) : base(nameof(RmsNorm))
    {
        _epsilon = epsilon;
        _fromOne = fromOne;
        _isScaled = isScaled;
        var weight = Weights.Parameter([width], device);
        if (isScaled)
        {
            _weight = weight;
            register_parameter("weight", weight);
            return;
        }

        // No parameter: what it would be is in no file.
        _weight = weight.detach().DetachFromDisposeScope();
        Initialise();
    }

    public Tensor Forward(Tensor x)
    {
        if ((_weight.dtype == x.dtype || _weight.dtype == ScalarType.BFloat16) && FusedOperations.Fit(x)) return FusedOperations.RmsNorm(x, _weight, _epsilon, _fromOne);
        using var scope = NewDisposeScope();
        // Not by the length of x, which needs no squares in memory but is slower. libtorch's own rms_norm can be reached through TorchScript only.
        // In float32 also where states are bfloat16, whose squares would lose too much. What comes out is multiplied next, in the weights' type.
        var states = x.to_type(ScalarType.Float32);
        var scale = states.Square().mean([-1], keepdim: true).AddInPlace(_epsilon).rsqrt();
        return (states * scale * (_fromOne ? _weight.Add(1) : _weight)).to_type(_weight.dtype).MoveToOuterDisposeScope();
    }

    public void Initialise()
    {
        using var gradients = no_grad();
        _weight.Fill(_fromOne ? 0 : 1);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_isScaled) _weight.Dispose();
        base.Dispose(disposing);
    }
}
