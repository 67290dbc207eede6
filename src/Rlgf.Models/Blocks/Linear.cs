using Rlgf.Models.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>A linear map whose weight is stored [out, in], with or without a shift. GPT-2 stores its own the other way round (<see cref="Conv1D"/>).</summary>
internal sealed class Linear : nn.Module, IProjection
{
    private readonly Parameter _weight;
    private readonly Parameter? _bias;
    private readonly ProductWeight _product;
    private LoraAdapter? _adapter;

    public Linear(int inputs, int outputs, bool bias, Device device) : base(nameof(Linear))
    {
        Inputs = inputs;
        Outputs = outputs;
        _weight = Weights.Parameter([outputs, inputs], device);
        register_parameter("weight", _weight);
        _product = new ProductWeight(_weight);
        if (!bias) return;
        _bias = Weights.Parameter([outputs], device);
        register_parameter("bias", _bias);
    }

    /// <summary>[out, in].</summary>
    public Parameter Weight => _weight;

    /// <summary>[out]; null without a shift.</summary>
    public Parameter? Bias => _bias;

    public int Inputs { get; }

    public int Outputs { get; }

    public IAdapter? Adapter => _adapter;

    public Tensor Forward(Tensor x)
    {
        var y = _product.Multiply(x, _bias);
        return _adapter is null ? y : _adapter.AddTo(y, x);
    }

    /// <summary>Adds what the adapter makes of the states [N, in] to y [N, out], in place; only where there is one.</summary>
    public void AddAdapter(Tensor y, Tensor x) => _adapter!.AddTo(y, x);

    public void Adapt(LoraConfiguration configuration, LoraSize size, Device device)
    {
        _adapter = new LoraAdapter(configuration, size, Inputs, Outputs, device);
        NamedModules.Register(this, _adapter.Named());
    }

    public Tensor MergedWeight() => _adapter is null ? _weight.alias() : _weight.Add(_adapter.Product());

    public Tensor AddedRows(long first, long count) => _adapter!.Outputs(first, count);

    public void Initialise(double deviation, Generator random)
    {
        using var gradients = no_grad();
        _weight.normal_(0, deviation, random);
        _bias?.Fill(0);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) _product.Dispose();
        base.Dispose(disposing);
    }
}
