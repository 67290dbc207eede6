using Rlgf.Models.Lora;
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
        Inputs = inputs;
        Outputs = outputs;
        _weight = Weights.Parameter([inputs, outputs], device);
        _bias = Weights.Parameter([outputs], device);
        register_parameter("weight", _weight);
        register_parameter("bias", _bias);
    }

    public int Inputs { get; }

    public int Outputs { get; }

    public LoraAdapter? Adapter { get; private set; }

    /// <summary>[N, in] → [N, out].</summary>
    public Tensor Forward(Tensor x)
    {
        var y = addmm(_bias, x, _weight, 1, 1);
        return Adapter is null ? y : Adapter.AddTo(y, x);
    }

    public void Adapt(LoraAdapter adapter)
    {
        Adapter = adapter;
        NamedModules.Register(this, adapter.Named());
    }

    public Tensor MergedWeight() => Adapter is null ? _weight.alias() : _weight + Adapter.Product().t();

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
    [ThreadStatic]
    private static ScalarType? _type;

    /// <summary>A parameter without values yet, float32 outside a <see cref="TypeScope"/>. It belongs to its module, so no dispose scope may take it.</summary>
    public static Parameter Parameter(long[] shape, Device device)
    {
        var parameter = new Parameter(empty(shape, dtype: _type ?? ScalarType.Float32, device: device));
        parameter.DetachFromDisposeScope();
        return parameter;
    }

    /// <summary>Until it is disposed of, this thread's new parameters are of another type: one setting for a whole model, whatever its family.</summary>
    public readonly ref struct TypeScope
    {
        private readonly ScalarType? _outer;

        /// <summary>Begins.</summary>
        public TypeScope(ScalarType type) => (_outer, _type) = (_type, type);

        /// <summary>Ends.</summary>
        public void Dispose() => _type = _outer;
    }
}
