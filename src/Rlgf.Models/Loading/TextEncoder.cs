using Rlgf.Base;
using Rlgf.Models.Families.Encoders;
using Rlgf.Tokenizers;
using static TorchSharp.torch;

namespace Rlgf.Models.Loading;

/// <summary>An encoder (BERT and the like) with its tokenizer: states of tokens, without any head.</summary>
public sealed class TextEncoder : IDisposable
{
    private readonly EncoderClassifier _model;

    private TextEncoder(EncoderClassifier model, ITokenizer tokenizer) => (_model, Tokenizer) = (model, tokenizer);

    /// <summary>The tokenizer.</summary>
    public ITokenizer Tokenizer { get; }

    /// <summary>The most tokens of a text, special ones included.</summary>
    public int ContextLength => _model.ContextLength;

    /// <summary>Number of layers.</summary>
    public int Layers => _model.Layers;

    /// <summary>Loads an encoder from a Hugging Face folder; heads that it was trained with are passed over.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="tokenizerFolder">Where the tokenizer is, if it is not in the same folder.</param>
    /// <param name="device">Where; the CPU by default.</param>
    /// <exception cref="InputException">A file is missing or malformed, the family is no encoder's, or the tokenizer does not fit.</exception>
    public static TextEncoder Load(string folder, string? tokenizerFolder = null, Device? device = null)
    {
        var tokenizer = TextClassifier.LoadTokenizer(folder, tokenizerFolder);
        // The head of one label is fresh and never asked.
        var model = SequenceClassifierFolder.FromEncoder(folder, ["unused"], 0, device);
        if (model is EncoderClassifier encoder) return new TextEncoder(encoder, tokenizer);
        model.Dispose();
        throw new InputException($"{folder}: it holds no encoder");
    }

    /// <summary>The ids of a text, between the tokenizer's special tokens; what doesn't fit is left out at the end.</summary>
    public int[] Encode(string text) => Tokenizer.EncodeInput(text, maxLength: ContextLength).Ids;

    /// <summary>The states after a layer.</summary>
    /// <param name="rows">B rows of ids, none empty.</param>
    /// <param name="layer">How many layers are run; null for all.</param>
    /// <returns>[B, T, D] float32; meaningless beyond a row's own length.</returns>
    public Tensor States(IReadOnlyList<int[]> rows, int? layer = null)
    {
        using var scope = NewDisposeScope();
        return _model.States(rows, layers: layer).to_type(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => _model.Dispose();
}
