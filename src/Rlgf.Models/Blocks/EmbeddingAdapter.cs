using Rlgf.Models.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>What is added to a table of vectors: E + s · (B A)ᵀ, with A [r, V] and B [D, r]. The table registers the two, as PEFT names them; dropout doesn't apply to it.</summary>
internal sealed class EmbeddingAdapter : IAdapter
{
    private readonly Parameter _down;
    private readonly Parameter _up;
    private readonly double _scaling;

    public EmbeddingAdapter(LoraConfiguration configuration, LoraSize size, int rows, int width, Device device)
    {
        Configuration = configuration;
        _scaling = size.Scaling;
        _down = Weights.Parameter([size.Rank, rows], device);
        _up = Weights.Parameter([width, size.Rank], device);
    }

    public LoraConfiguration Configuration { get; }

    /// <summary>A and B under PEFT's names.</summary>
    public IEnumerable<(string Name, Parameter Parameter)> Named() => [(LoraNames.EmbeddingDown, _down), (LoraNames.EmbeddingUp, _up)];

    /// <summary>Adds to the vectors that were looked up, in place.</summary>
    /// <param name="y">[N, D].</param>
    /// <param name="ids">[N] int64.</param>
    public Tensor AddTo(Tensor y, Tensor ids)
    {
        using var scope = NewDisposeScope();
        var narrow = _down.index_select(1, ids).t().Multiply((float)_scaling);
        return y.AddInPlace(nn.functional.linear(narrow, _up));
    }

    /// <summary>s · (B A)ᵀ: [V, D] float32.</summary>
    public Tensor Product() => Rows(0, _down.shape[1]);

    /// <summary>Some rows of it: [count, D] float32.</summary>
    public Tensor Rows(long first, long count) => _up.matmul(_down.narrow(1, first, count)).MultiplyInPlace(_scaling).t();

    /// <summary>A zero, B from N(0, 1), as PEFT begins: before it learns, an adapter adds nothing.</summary>
    public void Initialise(Generator random)
    {
        using var gradients = no_grad();
        _down.Fill(0);
        _up.normal_(0, 1, random);
    }
}
