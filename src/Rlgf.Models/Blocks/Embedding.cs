using Rlgf.Models.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>A table of vectors by id. It holds its weight itself, so that a tied head uses the very same parameter.</summary>
internal sealed class Embedding : nn.Module, IAdaptable
{
    private readonly ProductWeight _product;
    private EmbeddingAdapter? _adapter;

    public Embedding(int rows, int width, Device device) : base(nameof(Embedding))
    {
        Weight = Weights.Parameter([rows, width], device);
        register_parameter("weight", Weight);
        _product = new ProductWeight(Weight);
    }

    /// <summary>[rows, D].</summary>
    public Parameter Weight { get; }

    /// <summary>Whether it may have an adapter: only where all that reads it goes through <see cref="Forward"/>.</summary>
    public bool CanBeAdapted { get; init; }

    public IAdapter? Adapter => _adapter;

    /// <summary>Ids [N] int64 → [N, D].</summary>
    public Tensor Forward(Tensor ids)
    {
        var y = Weight.index_select(0, ids);
        return _adapter is null ? y : _adapter.AddTo(y, ids);
    }

    /// <summary>Where the table is a head too: states […, D] → [..., rows], without what an adapter adds.</summary>
    /// <param name="states">[…, D].</param>
    /// <param name="bias">[rows]; null for none.</param>
    public Tensor Scores(Tensor states, Tensor? bias = null) => _product.Multiply(states, bias);

    public void Adapt(LoraConfiguration configuration, LoraSize size, Device device)
    {
        _adapter = new EmbeddingAdapter(configuration, size, (int)Weight.size(0), (int)Weight.size(1), device);
        foreach (var (name, parameter) in _adapter.Named()) register_parameter(name, parameter);
    }

    public Tensor MergedWeight() => _adapter is null ? Weight.alias() : Weight.Add(_adapter.Product());

    public Tensor AddedRows(long first, long count) => _adapter!.Rows(first, count);

    /// <summary>Values from N(0, deviation²).</summary>
    public void Initialise(double deviation, Generator random)
    {
        using var gradients = no_grad();
        Weight.normal_(0, deviation, random);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) _product.Dispose();
        base.Dispose(disposing);
    }
}
