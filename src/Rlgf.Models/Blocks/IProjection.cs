using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>A module whose weight may have an adapter.</summary>
internal interface IAdaptable
{
    /// <summary>What is added to the weight and trained in its place; null for none.</summary>
    IAdapter? Adapter { get; }

    /// <summary>Takes an adapter without values, whose parameters then are parameters of the module.</summary>
    void Adapt(LoraConfiguration configuration, LoraSize size, Device device);

    /// <summary>The weight as it is stored, with what the adapter adds to it. Belongs to the caller's scope.</summary>
    Tensor MergedWeight();

    /// <summary>Some rows of what the adapter adds to the weight as it is stored, so that one needn't be whole in memory. Belongs to the caller's scope; only where there is an adapter.</summary>
    /// <param name="first">The first row.</param>
    /// <param name="count">How many.</param>
    /// <returns>[count, …] float32.</returns>
    Tensor AddedRows(long first, long count);
}

/// <summary>A learned linear map of states, a module whatever way its weight is stored.</summary>
internal interface IProjection : IAdaptable
{
    /// <summary>Width of what it reads.</summary>
    int Inputs { get; }

    /// <summary>Width of what it gives.</summary>
    int Outputs { get; }

    /// <summary>[…, in] → […, out].</summary>
    Tensor Forward(Tensor x);

    /// <summary>Weight from N(0, deviation²), shift zero.</summary>
    void Initialise(double deviation, Generator random);
}

/// <summary>A norm of states, a module.</summary>
internal interface INorm
{
    /// <summary>[…, D] → […, D].</summary>
    Tensor Forward(Tensor x);

    /// <summary>Scale 1, shift 0.</summary>
    void Initialise();
}
