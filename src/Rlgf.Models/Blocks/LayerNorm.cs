using Rlgf.Models.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>Normalises each state to mean 0 and variance 1, then scales it and, where it has a shift, shifts it.</summary>
internal sealed class LayerNorm : nn.Module, INorm
{
    private readonly long[] _width;
    private readonly double _epsilon;
    private readonly Parameter _weight;
    private readonly Parameter? _bias;

    public LayerNorm(int width, double epsilon, Device device, bool bias = true) : base(nameof(LayerNorm))
    {
        _width = [width];
        _epsilon = epsilon;
        _weight = Weights.Parameter([width], device);
        register_parameter("weight", _weight);
        if (!bias) return;
        _bias = Weights.Parameter([width], device);
        register_parameter("bias", _bias);
    }

    /// <summary>[…, D] → [..., D] of the weights' type, which is multiplied next; x may be float32 where that is bfloat16.</summary>
    public Tensor Forward(Tensor x)
    {
        if (x.dtype == _weight.dtype) return nn.functional.layer_norm(x, _width, _weight, _bias, _epsilon);
        using var scope = NewDisposeScope();
        return nn.functional.layer_norm(x, _width, _weight.to_type(x.dtype), _bias?.to_type(x.dtype), _epsilon).to_type(_weight.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Scale 1, shift 0.</summary>
    public void Initialise()
    {
        using var gradients = no_grad();
        _weight.Fill(1);
        _bias?.Fill(0);
    }
}
