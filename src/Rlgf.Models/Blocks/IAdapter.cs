using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>What is added to one weight of a model.</summary>
internal interface IAdapter
{
    /// <summary>The settings, the same for all weights of a model.</summary>
    LoraConfiguration Configuration { get; }

    /// <summary>Draws fresh values, with which it adds nothing.</summary>
    void Initialise(Generator random);
}

/// <summary>Rank and factor of the adapter of one weight.</summary>
/// <param name="Rank">r.</param>
/// <param name="Scaling">What the product is multiplied by.</param>
internal sealed record LoraSize(int Rank, double Scaling);
