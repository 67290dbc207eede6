using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families;

/// <summary>
/// What a decoder-only family brings: its layers and its head. Padding, positions by row, caches, decoding and the reading of responses are the same for all of them (<see cref="CausalLanguageModel"/>).
/// </summary>
internal interface ICausalTransformer
{
    /// <summary>What a cache and a mask need to know.</summary>
    AttentionShape AttentionShape { get; }

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
