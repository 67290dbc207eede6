using Rlgf.Models.Blocks;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using Embedding = Rlgf.Models.Blocks.Embedding;
using LayerNorm = Rlgf.Models.Blocks.LayerNorm;
using Linear = Rlgf.Models.Blocks.Linear;

namespace Rlgf.Models.Families.Encoders;

/// <summary>What the modules of an encoder need to know, read from <c>config.json</c>.</summary>
/// <param name="Vocabulary">V.</param>
/// <param name="Positions">Rows of the position table.</param>
/// <param name="Segments">How many texts of a row are told apart; 0 where there is no table for it.</param>
/// <param name="Layers">L.</param>
/// <param name="Layer">Sizes of each layer.</param>
/// <param name="InitialDeviation">Of fresh weights.</param>
internal sealed record EncoderSettings(int Vocabulary, int Positions, int Segments, int Layers, PostNormSizes Layer, double InitialDeviation);

/// <summary>What a family of encoders calls its parts, and what its head does between its two products.</summary>
/// <param name="Trunk">First part of all names but the head's.</param>
/// <param name="Layers">Where the layers are, below the trunk.</param>
/// <param name="Layer">Parts of a layer.</param>
/// <param name="HeadInner">The head's first product.</param>
/// <param name="HeadOuter">The head's second product, one row for each label.</param>
/// <param name="HeadActivation">Between the two.</param>
/// <param name="TiedHead">The weight of the head that fills gaps which is the embedding's: a file may have it in the embedding's place.</param>
internal sealed record EncoderNames(string Trunk, string Layers, PostNormNames Layer, string HeadInner, string HeadOuter, Func<Tensor, Tensor> HeadActivation, string TiedHead);

/// <summary>A BERT-like encoder (Devlin et al. 2019) with a head that scores labels from the state of the first token.</summary>
internal sealed class EncoderClassifierModule : nn.Module
{
    private readonly EncoderSettings _settings;
    private readonly EncoderNames _names;
    private readonly Embedding _tokenEmbedding;
    private readonly Embedding _positionEmbedding;
    private readonly Embedding? _segmentEmbedding;
    private readonly LayerNorm _embeddingNorm;
    private readonly PostNormLayer[] _layers;
    private readonly Linear _headInner;
    private readonly Linear _headOuter;

    public EncoderClassifierModule(EncoderSettings settings, EncoderNames names, int labels, Device device) : base(nameof(EncoderClassifierModule))
    {
        _settings = settings;
        _names = names;
        var width = settings.Layer.Width;
        _tokenEmbedding = new Embedding(settings.Vocabulary, width, device);
        _positionEmbedding = new Embedding(settings.Positions, width, device);
        _segmentEmbedding = settings.Segments > 0 ? new Embedding(settings.Segments, width, device) : null;
        _embeddingNorm = new LayerNorm(width, settings.Layer.Epsilon, device);
        _layers = [.. Enumerable.Range(0, settings.Layers).Select(layer => new PostNormLayer(settings.Layer, names.Layer, layer, device))];
        _headInner = new Linear(width, width, bias: true, device);
        _headOuter = new Linear(width, labels, bias: true, device);
        NamedModules.Register(this, [
            ($"{names.Trunk}.embeddings.word_embeddings", _tokenEmbedding),
            ($"{names.Trunk}.embeddings.position_embeddings", _positionEmbedding),
            .. _segmentEmbedding is null ? (IEnumerable<(string, nn.Module)>)[] : [($"{names.Trunk}.embeddings.token_type_embeddings", _segmentEmbedding)],
            ($"{names.Trunk}.embeddings.LayerNorm", _embeddingNorm),
            ($"{names.Trunk}.{names.Layers}", nn.ModuleList(_layers)),
            (names.HeadInner, _headInner),
            (names.HeadOuter, _headOuter)]);
    }

    /// <summary>Told what each layer reads, [B·T, D]: where a new family differs from what is expected, the first layer that does can be found so.</summary>
    internal Action<Tensor>? LayerInput { get; set; }

    /// <summary>Runs the layers.</summary>
    /// <param name="ids">[B, T] int64.</param>
    /// <param name="positions">[B, T] int64: rows of the position table.</param>
    /// <param name="segments">[B, T] int64: which of its row's texts a token belongs to.</param>
    /// <param name="attention">Who sees whom.</param>
    /// <param name="layers">How many layers are run, from 0; null for all.</param>
    /// <returns>[B, T, D] float32.</returns>
    public Tensor States(Tensor ids, Tensor positions, Tensor segments, IAttention attention, int? layers = null)
    {
        using var scope = NewDisposeScope();
        long rows = ids.size(0);
        var embedded = _tokenEmbedding.Forward(ids.view(-1)).Add(_positionEmbedding.Forward(positions.view(-1)));
        if (_segmentEmbedding is not null) embedded = embedded.Add(_segmentEmbedding.Forward(segments.view(-1)));
        var x = _embeddingNorm.Forward(embedded);
        foreach (var layer in _layers.AsSpan(0, layers ?? _layers.Length))
        {
            LayerInput?.Invoke(x);
            var next = layer.Forward(x, rows, attention);
            x.Dispose();
            x = next;
        }

        return x.view(rows, -1, _settings.Layer.Width).MoveToOuterDisposeScope();
    }

    /// <summary>The labels' scores from the first token's state: [B, T, D] → [B, C] float32.</summary>
    public Tensor Logits(Tensor states)
    {
        using var scope = NewDisposeScope();
        return _headOuter.Forward(_names.HeadActivation(_headInner.Forward(states.select(1, 0)))).MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        var deviation = _settings.InitialDeviation;
        _tokenEmbedding.Initialise(deviation, random);
        _positionEmbedding.Initialise(deviation, random);
        _segmentEmbedding?.Initialise(deviation, random);
        _embeddingNorm.Initialise();
        foreach (var layer in _layers) layer.Initialise(deviation, random);
        _headInner.Initialise(deviation, random);
        _headOuter.Initialise(deviation, random);
    }
}
