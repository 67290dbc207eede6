using Rlgf.Models.Blocks;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using Embedding = Rlgf.Models.Blocks.Embedding;
using LayerNorm = Rlgf.Models.Blocks.LayerNorm;
using Linear = Rlgf.Models.Blocks.Linear;

namespace Rlgf.Models.Families.Encoders;

/// <summary>What a BERT-like encoder needs to know, read from <c>config.json</c>.</summary>
/// <param name="Shape">Sizes that rows must fit.</param>
/// <param name="Layer">Sizes of each layer.</param>
/// <param name="InitialDeviation">Of fresh weights.</param>
internal sealed record PostNormEncoderSettings(EncoderShape Shape, TransformerLayerSizes Layer, double InitialDeviation)
{
    /// <summary>What the parts are called.</summary>
    public required PostNormEncoderNames Names { get; init; }

    /// <summary>Width of the tables and of their norm; null for that of the layers.</summary>
    public int? EmbeddingWidth { get; init; }

    /// <summary>Whether positions have a table.</summary>
    public bool HasPositions { get; init; } = true;

    /// <summary>What attention knows of distances; null for nothing.</summary>
    public DistanceSettings? Distances { get; init; }

    /// <summary>Sets of weights, each for as many neighbouring layers; null where every layer has its own.</summary>
    public int? Groups { get; init; }

    /// <summary>How many weights a set has, which its layers use one after the other.</summary>
    public int PerGroup { get; init; } = 1;
}

/// <summary>What a family calls the parts of a BERT-like trunk, below its own name.</summary>
/// <param name="Layers">Where the layers are: of a layer's number, or where layers share weights of its set's and its own in that.</param>
/// <param name="Layer">Parts of a layer.</param>
internal sealed record PostNormEncoderNames(Func<int, int, string> Layers, TransformerLayerNames Layer)
{
    /// <summary>The map from the tables' width to that of the layers; null where there is none.</summary>
    public string? Projection { get; init; }

    /// <summary>Below one level, as BERT has them.</summary>
    public static PostNormEncoderNames Below(string level, TransformerLayerNames layer) => new((number, _) => $"{level}.{number}", layer);
}

/// <summary>A BERT-like encoder (Devlin et al. 2019): the sum of its tables, normalised, and layers that normalise their sums.</summary>
internal sealed class PostNormEncoder : IEncoderTrunk
{
    private readonly PostNormEncoderSettings _settings;
    private readonly string _trunk;
    private readonly Device _device;
    private readonly Embedding _tokens;
    private readonly Embedding? _positions;
    private readonly Embedding? _segments;
    private readonly LayerNorm _embeddingNorm;
    private readonly Linear? _projection;
    private readonly Embedding? _distances;
    private readonly LayerNorm? _distanceNorm;
    private readonly TransformerLayer[] _layers;

    public PostNormEncoder(PostNormEncoderSettings settings, string trunk, Device device)
    {
        (_settings, _trunk, _device) = (settings, trunk, device);
        var (shape, sizes) = (settings.Shape, settings.Layer);
        var width = settings.EmbeddingWidth ?? sizes.Width;
        _tokens = new Embedding(shape.Vocabulary, width, device);
        if (settings.HasPositions) _positions = new Embedding(shape.Positions, width, device);
        if (shape.Segments > 0) _segments = new Embedding(shape.Segments, width, device);
        _embeddingNorm = new LayerNorm(width, sizes.Epsilon, device);
        if (settings.Names.Projection is not null) _projection = new Linear(width, sizes.Width, bias: true, device);
        if (settings.Distances is { } distances)
        {
            _distances = new Embedding(2 * distances.Buckets, sizes.Width, device);
            _distanceNorm = new LayerNorm(sizes.Width, sizes.Epsilon, device);
        }

        _layers = [.. Enumerable.Range(0, (settings.Groups ?? shape.Layers) * settings.PerGroup).Select(layer => new TransformerLayer(sizes, settings.Names.Layer, layer, device))];
    }

    public EncoderShape Shape => _settings.Shape;

    public Action<Tensor>? LayerInput { get; set; }

    public IEnumerable<(string Name, nn.Module Module)> Named()
    {
        (string, nn.Module?)[] parts =
        [
            ("embeddings.word_embeddings", _tokens), ("embeddings.position_embeddings", _positions), ("embeddings.token_type_embeddings", _segments), ("embeddings.LayerNorm", _embeddingNorm),
            (_settings.Names.Projection ?? "", _projection), ("encoder.rel_embeddings", _distances), ("encoder.LayerNorm", _distanceNorm),
        ];
        return parts.Where(part => part.Item2 is not null)
            .Concat(_layers.Select((layer, number) => (_settings.Names.Layers(number / _settings.PerGroup, number % _settings.PerGroup), (nn.Module?)layer)))
            .Select(part => ($"{_trunk}.{part.Item1}", part.Item2!));
    }

    public Tensor States(in EncoderInput input, int? layers)
    {
        using var scope = NewDisposeScope();
        long rows = input.Ids.size(0);
        var embedded = _tokens.Forward(input.Ids.view(-1));
        if (_positions is not null) embedded = embedded.Add(_positions.Forward(input.Positions.view(-1)));
        if (_segments is not null) embedded = embedded.Add(_segments.Forward(input.Segments.view(-1)));
        var x = _embeddingNorm.Forward(embedded);
        if (_projection is not null) x = _projection.Forward(x);
        var attention = new BidirectionalAttention(input.Lengths, input.Columns, _device);
        var distances = _settings.Distances is { } settings ? new DistanceStates(settings, _distanceNorm!.Forward(_distances!.Weight), input.Columns) : null;
        for (var layer = 0; layer < (layers ?? Shape.Layers); layer++)
        {
            LayerInput?.Invoke(x);
            foreach (var part in PartsOf(layer))
            {
                var next = part.Forward(x, rows, attention, distances: distances);
                x.Dispose();
                x = next;
            }
        }

        return x.view(rows, -1, _settings.Layer.Width).MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        var deviation = _settings.InitialDeviation;
        _tokens.Initialise(deviation, random);
        _positions?.Initialise(deviation, random);
        _segments?.Initialise(deviation, random);
        _embeddingNorm.Initialise();
        _projection?.Initialise(deviation, random);
        _distances?.Initialise(deviation, random);
        _distanceNorm?.Initialise();
        foreach (var layer in _layers) layer.Initialise(deviation, random);
    }

    // All parts are the module's that has them registered.
    public void Dispose() { }

    private ReadOnlySpan<TransformerLayer> PartsOf(int layer)
    {
        // Divided as where such models are trained.
        var group = _settings.Groups is { } groups ? (int)(layer / ((double)Shape.Layers / groups)) : layer;
        return _layers.AsSpan(group * _settings.PerGroup, _settings.PerGroup);
    }
}
