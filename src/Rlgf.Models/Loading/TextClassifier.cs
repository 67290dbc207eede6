using Rlgf.Base;
using Rlgf.Models.NumberTypes;
using Rlgf.Tokenizers;
using static TorchSharp.torch;

namespace Rlgf.Models.Loading;

/// <summary>A sequence classifier with its tokenizer, from one folder.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Model">The classifier.</param>
/// <param name="Tokenizer">The tokenizer; all its ids have an embedding in the classifier.</param>
public sealed record TextClassifier(string Folder, ISequenceClassifier Model, ITokenizer Tokenizer) : IDisposable
{
    /// <summary>Loads both from a Hugging Face folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="tokenizerFolder">Where the tokenizer is, if it is not in the same folder.</param>
    /// <param name="device">Where the model goes; the CPU by default.</param>
    /// <param name="precision">Type of its weights in memory.</param>
    /// <param name="sharing">A model with an adapter, whose base may be this one's too: its memory is then used.</param>
    /// <exception cref="InputException">A file is missing or malformed, or the tokenizer does not fit the model.</exception>
    public static TextClassifier Load(string folder, string? tokenizerFolder = null, Device? device = null, Precision precision = Precision.Float32, ILanguageModel? sharing = null)
    {
        var tokenizer = LoadTokenizer(folder, tokenizerFolder);
        return new TextClassifier(folder, SequenceClassifierFolder.Load(folder, device, precision, sharing), tokenizer);
    }

    /// <summary>Loads the tokenizer of a folder alone.</summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="tokenizerFolder">Where the tokenizer is, if it is not in the same folder.</param>
    /// <exception cref="InputException">A file is missing or malformed, or the tokenizer does not fit the model.</exception>
    public static ITokenizer LoadTokenizer(string folder, string? tokenizerFolder)
    {
        var vocabulary = FolderConfiguration.Read(folder).Size("vocab_size");
        tokenizerFolder = TextModel.TokenizerFolderOf(folder, tokenizerFolder);
        var tokenizer = TokenizerFolder.Load(tokenizerFolder);
        TextModel.RequireFit(tokenizer, tokenizerFolder, vocabulary, folder);
        return tokenizer;
    }

    /// <inheritdoc/>
    public void Dispose() => Model.Dispose();
}
