using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>A table of vectors by id. It holds its weight itself, so that a tied head uses the very same parameter.</summary>
internal sealed class Embedding : nn.Module
{
    public Embedding(int rows, int width, Device device) : base(nameof(Embedding))
    {
        Weight = Weights.Parameter([rows, width], device);
        register_parameter("weight", Weight);
    }

    /// <summary>[rows, D].</summary>
    public Parameter Weight { get; }

    /// <summary>Ids of any shape [N] int64 → [N, D].</summary>
    public Tensor Forward(Tensor ids) => Weight.index_select(0, ids);

    /// <summary>Values from N(0, deviation²).</summary>
    public void Initialise(double deviation, Generator random)
    {
        using var gradients = no_grad();
        Weight.normal_(0, deviation, random);
    }
}
