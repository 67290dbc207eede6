using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.EncoderDecoders;

/// <summary>
/// What an encoder–decoder family brings: the two halves and the head. Which rows share a prompt, padding, caches, decoding and the reading of responses are the same for all of them
/// (<see cref="EncoderDecoderLanguageModel"/>).
/// </summary>
internal interface IEncoderDecoder
{
    /// <summary>The decoder's attention among its own tokens.</summary>
    AttentionShape AttentionShape { get; }

    /// <summary>Runs the encoder: [U, P] int64 → [U, P, D] float32, after its final norm where it has one.</summary>
    Tensor Encode(Tensor ids, IAttention attention);

    /// <summary>What each of the decoder's layers sees of the encoder's states [U, P, D]: keys and values [U, H, P, D/H].</summary>
    IReadOnlyList<(Tensor Keys, Tensor Values)> KeysAndValues(Tensor encoded);

    /// <summary>Runs the decoder.</summary>
    /// <param name="ids">[B, T] int64.</param>
    /// <param name="positions">Position of each token in its row; null for 0, 1, 2 … in every row.</param>
    /// <param name="attention">Who sees whom among the decoder's tokens.</param>
    /// <param name="prompts">What it sees of the prompts.</param>
    /// <returns>[B, T, D] float32, after its final norm where it has one.</returns>
    Tensor Decode(Tensor ids, TokenPositions? positions, IAttention attention, CrossAttention prompts);

    /// <summary>The head: […, D] → […, V] float32.</summary>
    Tensor Logits(Tensor states);

    /// <summary>Draws fresh weights as the family does.</summary>
    void Initialise(Generator random);
}
