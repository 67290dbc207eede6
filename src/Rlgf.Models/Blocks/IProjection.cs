using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>A learned linear map of states, a module whatever way its weight is stored.</summary>
internal interface IProjection
{
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
