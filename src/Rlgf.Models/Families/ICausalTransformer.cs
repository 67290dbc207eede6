using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families;

/// <summary>
/// What a decoder-only family brings: its layers and its head. Padding, positions by row, caches, decoding and the reading of responses are the same for all of them (<see cref="CausalLanguageModel"/>).
/// </summary>
internal interface ICausalTransformer
{
    /// <summary>L.</summary>
    int Layers { get; }

    /// <summary>The windows that its layers attend with, each once: how many tokens a token sees, itself included; null for all before it.</summary>
    IReadOnlyList<int?> Windows { get; }

    /// <summary>Whether all that a token gets of those before it are their keys and values: no layer keeps a state of its own.</summary>
    bool OnlyAttends => true;

    /// <summary>The most tokens of a longest row at which all keys are rotated in one way; those of longer rows are rotated anew, so that nothing of a cache can stay. Null where that is always so.</summary>
    int? SameRotationUpTo => null;

    /// <summary>Whether layers' activations are computed again for gradients instead of being kept, where positions are not given.</summary>
    bool RecomputesActivations { get; set; }

    /// <summary>Runs the layers.</summary>
    /// <param name="ids">[B, T] int64.</param>
    /// <param name="positions">Position of each token in its row; null for 0, 1, 2 … in every row.</param>
    /// <param name="attention">Who sees whom.</param>
    /// <returns>[B, T, D] float32, after the final norm.</returns>
    Tensor States(Tensor ids, TokenPositions? positions, IAttention attention);

    /// <summary>The head: […, D] → […, V] float32, or […, C] where it scores labels.</summary>
    Tensor Logits(Tensor states);

    /// <summary>Draws fresh weights as the family does.</summary>
    void Initialise(Generator random);
}
