using Rlgf.Base;
using Rlgf.Models.NumberTypes;
using Rlgf.Tokenizers;
using static TorchSharp.torch;

namespace Rlgf.Models.Loading;

/// <summary>A language model with its tokenizer, from one folder.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Model">The model.</param>
/// <param name="Tokenizer">The tokenizer; all its ids have an embedding in the model.</param>
/// <param name="EndTokens">Ids that end a text: those of <c>generation_config.json</c>, else of <c>config.json</c>, else the tokenizer's EOS; none where nobody names one.</param>
public sealed record TextModel(string Folder, ILanguageModel Model, ITokenizer Tokenizer, IReadOnlyList<int> EndTokens) : IDisposable
{
    /// <summary>What the folder asks of everybody who writes with the model.</summary>
    public GenerationDefaults Defaults { get; init; } = new();

    /// <summary>What a text begins with that has no token of its own, found in the order of the end tokens; null where nobody names one.</summary>
    public int? BeginToken { get; init; } = Tokenizer.BosId;

    /// <summary>The end token that texts to learn from get: one that ends a text when it is written, so the tokenizer's only where it is one of them. Null where there is none.</summary>
    public int? TaughtEnd => Tokenizer.EosId is { } end && EndTokens.Contains(end) ? end : EndTokens is [var first, ..] ? first : null;

    /// <summary>The same model where a chat template has a token that ends an answer: that first, then the model's own.</summary>
    /// <param name="endOfTurn">The token; null where the template has none.</param>
    public TextModel EndingWith(int? endOfTurn) => endOfTurn is { } end ? this with { EndTokens = [end, .. EndTokens.Where(id => id != end)] } : this;

    /// <summary>Loads both from a Hugging Face folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="tokenizerFolder">Where the tokenizer is, if it is not in the same folder.</param>
    /// <param name="device">Where the model goes; the CPU by default.</param>
    /// <param name="precision">Type of its weights in memory.</param>
    /// <param name="sharing">A model with an adapter, whose base may be this one's too: its memory is then used.</param>
    /// <exception cref="InputException">A file is missing or malformed, the tokenizer does not fit the model, or a token with a role is no id of it.</exception>
    public static TextModel Load(string folder, string? tokenizerFolder = null, Device? device = null, Precision precision = Precision.Float32, ILanguageModel? sharing = null)
    {
        // The tokenizer first: it is read in no time, the weights of a large model are not.
        var read = FolderConfiguration.Read(folder);
        tokenizerFolder = TokenizerFolderOf(folder, tokenizerFolder);
        var tokenizer = TokenizerFolder.Load(tokenizerFolder);
        var model = LanguageModelFolder.Load(folder, device, precision, sharing);
        try
        {
            RequireFit(tokenizer, tokenizerFolder, model.Shape.Vocabulary, folder);
            var generation = LanguageModelFolder.ReadGenerationSettings(folder);
            var configuration = new SettingsFile(read.Source, read.ToJson());
            var ends = RoleTokens.Ends(generation, configuration, tokenizer, model.Shape.Vocabulary);
            var begin = RoleTokens.Begin(generation, configuration, tokenizer, model.Shape.Vocabulary);
            return new TextModel(folder, model, tokenizer, ends.Ids)
            {
                Defaults = generation.Settings is { } settings ? GenerationDefaults.Of(settings, generation.Path, model.Shape) : GenerationDefaults.Of(GenerationKey.Of(configuration.Settings!), configuration.Path, model.Shape),
                BeginToken = begin.Ids is [var id] ? id : null,
            };
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Makes sure that every id of a tokenizer has an embedding. A model may have more: many are padded to a round number.</summary>
    /// <exception cref="InputException">The tokenizer has ids beyond the embedding.</exception>
    public static void RequireFit(ITokenizer tokenizer, string tokenizerFolder, int vocabulary, string modelFolder)
    {
        if (tokenizer.VocabularySize > vocabulary)
        {
            throw new InputException(
                $"{tokenizerFolder}: the tokenizer has {tokenizer.VocabularySize} ids but the model in {modelFolder} has embeddings for {vocabulary}; use the tokenizer that the model was trained with");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Model.Dispose();

    /// <summary>The folder that a model's tokenizer is loaded from.</summary>
    /// <param name="folder">The model's.</param>
    /// <param name="named">The one that was named for it; null where none was.</param>
    /// <exception cref="InputException">None was named, and there is none with the model.</exception>
    internal static string TokenizerFolderOf(string folder, string? named)
    {
        var found = TokenizerFolderOf(named ?? folder);
        return named is not null || TokenizerFolder.Exists(found) ? found
            : throw new InputException($"{folder}: there is no tokenizer with the model (tokenizer.json, say): name the folder that has the one that the model was trained with (--tokenizer, or 'tokenizer' in a recipe), or copy its files there");
    }

    /// <summary>Where a folder's tokenizer is: in it, or beside the base model of an adapter that came without.</summary>
    public static string TokenizerFolderOf(string folder) => TokenizerFolder.Exists(folder) ? folder : AdapterFolder.BaseOf(folder);
}
