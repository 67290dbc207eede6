using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>An affine map whose weight is stored [in, out], as GPT-2 does (other families store [out, in]); "Conv1D" is the format's name for it.</summary>
internal sealed class Conv1D : nn.Module, IProjection
{
    private readonly Parameter _weight;
    private readonly Parameter _bias;

    public Conv1D(int inputs, int outputs, Device device) : base(nameof(Conv1D))
    {
        _weight = Weights.Parameter([inputs, outputs], device);
        _bias = Weights.Parameter([outputs], device);
        register_parameter("weight", _weight);
        register_parameter("bias", _bias);
    }

    /// <summary>[N, in] → [N, out].</summary>
    public Tensor Forward(Tensor x) => addmm(_bias, x, _weight, 1, 1);

    /// <summary>Weight from N(0, deviation²), bias zero.</summary>
    public void Initialise(double deviation, Generator random)
    {
        using var gradients = no_grad();
        _weight.normal_(0, deviation, random);
        _bias.fill_(0);
    }
}

/// <summary>Making parameters.</summary>
internal static class Weights
{
    /// <summary>A float32 parameter without values yet. It belongs to its module, so no dispose scope may take it.</summary>
    public static Parameter Parameter(long[] shape, Device device)
    {
        var parameter = new Parameter(empty(shape, dtype: float32, device: device));
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
