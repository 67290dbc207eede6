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
    /// <summary>How many layers the decoder has.</summary>
    int DecoderLayers { get; }

    /// <summary>Whether layers' activations are computed again for gradients instead of being kept, where positions are not given.</summary>
    bool RecomputesActivations { get; set; }

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

/// <summary>Reading texts with an encoder.</summary>
internal static class Encoding
{
    /// <summary>Runs the encoder over texts of different lengths, padded on the right.</summary>
    /// <param name="transformer">The family's halves.</param>
    /// <param name="texts">U rows of ids.</param>
    /// <param name="contextLength">The most tokens that it reads.</param>
    /// <param name="device">Where its parameters are.</param>
    /// <returns>[U, P, D]; meaningless beyond a text's own length.</returns>
    public static Tensor Encode(this IEncoderDecoder transformer, IReadOnlyList<int[]> texts, int contextLength, Device device)
    {
        using var scope = NewDisposeScope();

        // A multiple of 8, as in training a decoder: few shapes for oneDNN to compile and keep.
        var columns = Math.Min(contextLength, (texts.Max(text => text.Length) + 7) / 8 * 8);
        var ids = new long[texts.Count * columns];
        for (var u = 0; u < texts.Count; u++) Rows.Copy(texts[u], ids.AsSpan(u * columns));
        var attention = new BidirectionalAttention([.. texts.Select(text => text.Length)], columns, device);
        return transformer.Encode(tensor(ids, [texts.Count, columns], device: device), attention).MoveToOuterDisposeScope();
    }

    /// <summary>What the decoder sees of texts; belongs to the caller's scope.</summary>
    /// <param name="transformer">The family's halves.</param>
    /// <param name="texts">U rows of ids.</param>
    /// <param name="textOf">For each of the decoder's rows, the index of its text.</param>
    /// <param name="contextLength">The most tokens that the encoder reads.</param>
    /// <param name="device">Where its parameters are.</param>
    public static CrossAttention Read(this IEncoderDecoder transformer, IReadOnlyList<int[]> texts, int[] textOf, int contextLength, Device device) =>
        new(transformer.KeysAndValues(transformer.Encode(texts, contextLength, device)), [.. texts.Select(text => text.Length)], textOf);
}
