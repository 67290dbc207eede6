using System.Text.Json.Nodes;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models;

/// <summary>A classifier of whole sequences.</summary>
public interface ISequenceClassifier : IDisposable
{
    /// <summary>Names of the C labels, by index.</summary>
    IReadOnlyList<string> Labels { get; }

    /// <summary>The most tokens it reads.</summary>
    int ContextLength { get; }

    /// <summary>The module that holds the parameters, under the names of the checkpoint format.</summary>
    nn.Module Module { get; }

    /// <summary>A copy of the model's <c>config.json</c>.</summary>
    JsonObject Configuration { get; }

    /// <summary>Classifies rows of token ids of any lengths, each at least 1; padding is the model's own business.</summary>
    /// <param name="rows">B rows, with the special tokens that the tokenizer puts around a text or a pair.</param>
    /// <param name="segments">
    /// For rows of more than one text, which of its row's texts each token belongs to, counted from 0 (<c>token_type_ids</c>); null where all are of one.
    /// Models that don't tell texts apart pass over it.
    /// </param>
    /// <returns>[B, C] float32 logits.</returns>
    Tensor Logits(IReadOnlyList<int[]> rows, IReadOnlyList<int[]>? segments = null);

    /// <summary>What its files hold under another name than the family's own, one sentence each. Set by whoever loads it.</summary>
    IReadOnlyList<string> LoadingNotes
    {
        get => [];
        set { }
    }

    /// <summary>Draws fresh weights, as the family does; the seed decides them.</summary>
    void Initialise(ulong seed);
}
