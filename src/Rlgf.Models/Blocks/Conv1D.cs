using Rlgf.Models.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>An affine map whose weight is stored [in, out], as GPT-2 does (other families store [out, in]); "Conv1D" is the format's name for it.</summary>
internal sealed class Conv1D : nn.Module, IProjection
{
    private readonly Parameter _weight;
    private readonly Parameter _bias;
    private readonly ProductWeight _product;
    private LoraAdapter? _adapter;

    public Conv1D(int inputs, int outputs, Device device) : base(nameof(Conv1D))
    {
        Inputs = inputs;
        Outputs = outputs;
        _weight = Weights.Parameter([inputs, outputs], device);
        _bias = Weights.Parameter([outputs], device);
        register_parameter("weight", _weight);
        register_parameter("bias", _bias);
        _product = new ProductWeight(_weight, isTransposed: true);
    }

    public int Inputs { get; }

    public int Outputs { get; }

    public IAdapter? Adapter => _adapter;

    /// <summary>[N, in] → [N, out].</summary>
    public Tensor Forward(Tensor x)
    {
        var y = _product.Multiply(x, _bias);
        return _adapter is null ? y : _adapter.AddTo(y, x);
    }

    public void Adapt(LoraConfiguration configuration, LoraSize size, Device device)
    {
        _adapter = new LoraAdapter(configuration, size, Inputs, Outputs, device);
        NamedModules.Register(this, _adapter.Named());
    }

    public Tensor MergedWeight() => _adapter is null ? _weight.alias() : _weight.Add(_adapter.Product().t());

    public Tensor AddedRows(long first, long count) => _adapter!.Inputs(first, count).t();

    /// <summary>Weight from N(0, deviation²), bias zero.</summary>
    public void Initialise(double deviation, Generator random)
    {
        using var gradients = no_grad();
        _weight.normal_(0, deviation, random);
        _bias.Fill(0);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) _product.Dispose();
        base.Dispose(disposing);
    }
}
