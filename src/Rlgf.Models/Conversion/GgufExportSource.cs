using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.Known;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.NumberTypes;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Conversion;

/// <summary>A folder's weights one at a time, under the family's own names, with what an adapter adds to them. The model is built without values, which takes no memory.</summary>
internal sealed class GgufExportSource : IDisposable
{
    private readonly Checkpoint _checkpoint;
    private readonly ILanguageModel _model;
    private readonly WeightMatches _matches;
    private readonly Dictionary<string, string> _stored;
    private readonly Dictionary<string, Tensor> _parameters;
    private readonly Dictionary<string, IAdaptable> _adapted;
    private readonly LoraConfiguration? _adapter;
    private readonly EmbeddingNames? _ends;
    private readonly string _adapterFolder;

    /// <summary>Compares what a folder holds with its configuration; reads no numbers but an adapter's.</summary>
    /// <param name="folder">The folder, of a model or of an adapter.</param>
    /// <exception cref="InputException">It can't be used as a language model.</exception>
    public GgufExportSource(string folder)
    {
        _adapterFolder = folder;
        Configuration = FolderConfiguration.Read(folder);
        if (Configuration.IsClassifier) throw Configuration.Fault("architectures", $"is {Configuration.Architecture}, a classifier, which writes no text; language models can be exported as GGUF");
        var family = ModelFamilies.Of(Configuration);
        if (!family.WritesText) throw Configuration.Fault("model_type", $"is '{Configuration.ModelType}', an encoder, which writes no text; language models can be exported as GGUF");
        _ends = family.Embeddings(Configuration);
        _checkpoint = Checkpoint.Open(AdapterFolder.BaseOf(folder));
        try
        {
            using var type = Precision.Float32.OfNewParameters();
            _model = ModelFolder.Build(family, Configuration, _checkpoint, (builder, settings) => builder.CreateLanguageModel(settings, CPU));
            var isAdapter = AdapterFolder.Is(folder);
            _matches = WeightMatching.Match(_model.Module, _checkpoint, ModelFolder.NamesOf(family, Configuration, folder, isAdapter ? AdapterFolder.Brings(folder) : _ => false));
            if (isAdapter) AdapterFolder.Load(_model.Module, folder);
        }
        catch
        {
            Dispose();
            throw;
        }

        _stored = _matches.Pairs.ToDictionary(pair => pair.Name, pair => pair.StoredName, StringComparer.Ordinal);
        _parameters = ModuleWeights.Named(_model.Module).ToDictionary(StringComparer.Ordinal);
        _adapted = LoraAdapters.Adaptable(_model.Module).Where(named => named.Part.Adapter is not null).ToDictionary(named => $"{named.Name}.weight", named => named.Part, StringComparer.Ordinal);
        _adapter = LoraAdapters.ConfigurationOf(_model.Module);
        Weights = [.. _parameters.Where(named => !LoraNames.IsFactor(named.Key)).Select(named => (named.Key, (IReadOnlyList<long>)[.. named.Value.shape]))];
    }

    /// <summary>The folder's configuration.</summary>
    public ModelConfiguration Configuration { get; }

    /// <summary>The weights with their shapes, in the order of the layers.</summary>
    public IReadOnlyList<(string Name, IReadOnlyList<long> Shape)> Weights { get; }

    /// <summary>V.</summary>
    public int Vocabulary => _model.Shape.Vocabulary;

    /// <summary>Whether the head is the embedding.</summary>
    public bool HasTiedHead => _ends?.IsTied == true;

    /// <summary>The embedding, where it is the head too.</summary>
    public (string Name, IReadOnlyList<long> Shape)? TiedEmbedding => HasTiedHead ? Weights.First(weight => weight.Name == _ends!.EmbeddingWeight) : null;

    /// <summary>What was read under another name than the family's own, a sentence each.</summary>
    public IReadOnlyList<string> Notes => _matches.Notes;

    /// <summary>A weight's numbers; the caller disposes of them.</summary>
    public Tensor Read(string name)
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        // What an adapter's file has in place of the base's own was read with it.
        if (_adapter is not null && LoraAdapters.IsStored(name, _adapter)) return _parameters[name].alias().MoveToOuterDisposeScope().DetachFromDisposeScope();
        return WithAdapter(name, Stored(_stored[name]), 0).DetachFromDisposeScope();
    }

    /// <summary>Some rows of a weight, which the caller disposes of; null where it must be read whole.</summary>
    public Tensor? ReadRows(string name, long first, long count)
    {
        if (_adapter is not null && LoraAdapters.IsStored(name, _adapter)) return null;
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        return StoredRows(_stored[name], first, count) is { } rows ? WithAdapter(name, rows, first).DetachFromDisposeScope() : null;
    }

    /// <summary>What an adapter adds is computed for these rows alone. The model's own parameters stay without values: each that got some and lost them again would leave a hole in memory that nothing fits into.</summary>
    private Tensor WithAdapter(string name, Tensor rows, long first) => _adapted.TryGetValue(name, out var part) ? rows.to_type(ScalarType.Float32).AddInPlace(part.AddedRows(first, rows.shape[0])) : rows;

    /// <summary>Where a weight is read from, for messages: its key and its file.</summary>
    public string OriginOf(string name)
    {
        if (_adapter is not null && LoraAdapters.IsStored(name, _adapter)) return $"'{name}' in {_adapterFolder}";
        return $"'{_stored[name]}' in {_checkpoint.FileOf(_stored[name])}{(_adapted.ContainsKey(name) ? $", with what {_adapterFolder} adds," : "")}";
    }

    /// <summary>Refuses copies of a tied weight that differ from it: the folder then means two models.</summary>
    public void RequireEqualCopies()
    {
        foreach (var (name, _, copy) in _matches.Copies)
        {
            if (Digest(_stored[name]).AsSpan().SequenceEqual(Digest(copy))) continue;
            throw new InputException($"{_checkpoint.Folder}: '{copy}' differs from '{name}', to which config.json ties it; set tie_word_embeddings to false there to use both, or take it out of the file.");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _model?.Dispose();
        _checkpoint.Dispose();
    }

    /// <summary>One is in memory at a time.</summary>
    private byte[] Digest(string stored)
    {
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var piece in GgufRows.InFile(() => Stored(stored), (first, count) => StoredRows(stored, first, count), _checkpoint.Entry(stored).Shape, GgufLayout.Same, heads: 1)) digest.AppendData(MemoryMarshal.AsBytes(piece.Span));
        return digest.GetHashAndReset();
    }

    private Tensor? StoredRows(string stored, long first, long count)
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var entry = _checkpoint.Entry(stored);
        var rows = empty([count, .. entry.Shape.Skip(1)], dtype: entry.Type, device: CPU);
        return _checkpoint.CopyRowsTo(stored, first, rows) ? rows.MoveToOuterDisposeScope() : null;
    }

    private Tensor Stored(string stored)
    {
        var entry = _checkpoint.Entry(stored);
        var numbers = empty([.. entry.Shape], dtype: entry.Type, device: CPU);
        _checkpoint.CopyTo(stored, numbers);
        return numbers;
    }
}
