using Rlgf.Models.Blocks;
using Rlgf.Models.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Embedding = Rlgf.Models.Blocks.Embedding;
using LayerNorm = Rlgf.Models.Blocks.LayerNorm;

namespace Rlgf.Models.Families.EncoderDecoders;

/// <summary>BART, and what is built as it is, with a head that scores the vocabulary, <c>BartForConditionalGeneration</c>, or labels, <c>BartForSequenceClassification</c>. A tied head is the embedding's own parameter.</summary>
internal sealed class BartModule : nn.Module, IEncoderDecoder
{
    /// <summary>The name of the embedding, which encoder, decoder and a tied head all use.</summary>
    public const string SharedEmbedding = "model.shared.weight";

    private readonly BartSettings _settings;
    private readonly Embedding _embedding;
    private readonly BartStack _encoder;
    private readonly BartStack _decoder;
    private readonly Embedding? _head;
    private readonly Parameter? _logitsBias;
    private readonly ClassificationHead? _labels;

    public BartModule(BartSettings settings, int? labels, Device device) : base(nameof(BartModule))
    {
        _settings = settings;
        _embedding = new Embedding(settings.Vocabulary, settings.Width, device);
        _encoder = new BartStack(settings, isDecoder: false, device);
        _decoder = new BartStack(settings, isDecoder: true, device);
        List<(string, nn.Module)> parts = [("model.shared", _embedding), ("model.encoder", _encoder), ("model.decoder", _decoder)];
        if (labels is { } count)
        {
            _labels = new ClassificationHead(settings.Width, count, device);
            NamedModules.Register(this, [.. parts, ("classification_head", _labels)]);
            return;
        }

        if (!settings.TiedHead)
        {
            _head = new Embedding(settings.Vocabulary, settings.Width, device);
            parts.Add(("lm_head", _head));
        }

        NamedModules.Register(this, parts);

        // Stored with the weights, but never trained.
        _logitsBias = Weights.Parameter([1, settings.Vocabulary], device);
        _logitsBias.requires_grad = false;
        _logitsBias.Fill(0);
        register_parameter("final_logits_bias", _logitsBias);
    }

    /// <summary>The half that reads.</summary>
    internal BartStack Encoder => _encoder;

    /// <summary>The half that writes.</summary>
    internal BartStack Decoder => _decoder;

    public bool RecomputesActivations
    {
        get => _decoder.RecomputesActivations;
        set => (_encoder.RecomputesActivations, _decoder.RecomputesActivations) = (value, value);
    }

    public int DecoderLayers => _settings.DecoderLayers;

    public Tensor Encode(Tensor ids, IAttention attention) => Run(_encoder, ids, null, attention, null);

    public IReadOnlyList<(Tensor Keys, Tensor Values)> KeysAndValues(Tensor encoded) => _decoder.KeysAndValues(encoded);

    public Tensor Decode(Tensor ids, TokenPositions? positions, IAttention attention, CrossAttention prompts) => Run(_decoder, ids, positions?.Values, attention, prompts);

    public Tensor Logits(Tensor states)
    {
        using var scope = NewDisposeScope();
        var logits = _labels is null ? (_head ?? _embedding).Scores(states, _logitsBias!.view(-1)) : _labels.Forward(states);
        return logits.to_type(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        _embedding.Initialise(_settings.InitialDeviation, random);
        _head?.Initialise(_settings.InitialDeviation, random);
        _labels?.Initialise(_settings.InitialDeviation, random);
        _encoder.Initialise(random);
        _decoder.Initialise(random);
    }

    private Tensor Run(BartStack stack, Tensor ids, Tensor? positions, IAttention attention, CrossAttention? prompts)
    {
        using var scope = NewDisposeScope();
        var embedded = _embedding.Forward(ids.view(-1));
        if (_settings.ScaleEmbedding) embedded = embedded.Multiply((float)Math.Sqrt(_settings.Width));
        return stack.Forward(embedded, positions, ids.size(0), ids.size(1), attention, prompts).MoveToOuterDisposeScope();
    }
}

/// <summary>The encoder or the decoder: positions, layers, and a norm before or after them where the family has one.</summary>
internal sealed class BartStack : nn.Module
{
    private static readonly TransformerLayerNames EncoderNames = new(Names("self_attn"), "self_attn_layer_norm", "fc1", "fc2", "final_layer_norm");
    private static readonly TransformerLayerNames DecoderNames = EncoderNames with { Prompt = (Names("encoder_attn"), "encoder_attn_layer_norm") };

    private readonly BartSettings _settings;
    private readonly PositionTable _positions;
    private readonly LayerNorm? _embeddingNorm;
    private readonly LayerNorm? _finalNorm;
    private readonly TransformerLayer[] _layers;

    public BartStack(BartSettings settings, bool isDecoder, Device device) : base(nameof(BartStack))
    {
        _settings = settings;
        var (layers, sizes, names) = isDecoder ? (settings.DecoderLayers, settings.Decoder, DecoderNames) : (settings.EncoderLayers, settings.Encoder, EncoderNames);
        _positions = new PositionTable(settings, device);
        _layers = [.. Enumerable.Range(0, layers).Select(layer => new TransformerLayer(sizes, names, layer, device))];
        if (_positions.Stored is { } stored) register_module("embed_positions", stored);
        if (settings.NormOfEmbeddings) register_module("layernorm_embedding", _embeddingNorm = Norm());
        register_module("layers", nn.ModuleList(_layers));
        if (sizes.NormFirst) register_module("layer_norm", _finalNorm = Norm());

        LayerNorm Norm() => new(settings.Width, sizes.Epsilon, device);
    }

    /// <summary>Told what each layer reads, [B·T, D]: where a new family differs from what is expected, the first layer that does can be found so.</summary>
    internal Action<Tensor>? LayerInput { get; set; }

    /// <summary>Whether layers' activations are computed again for gradients instead of being kept.</summary>
    public bool RecomputesActivations { get; set; }

    /// <summary>[B·T, D] embeddings → [B, T, D] states; positions [B·T] or null for 0, 1, 2 … in every row.</summary>
    public Tensor Forward(Tensor embedded, Tensor? positions, long rows, long columns, IAttention attention, CrossAttention? prompts)
    {
        using var scope = NewDisposeScope();
        var sum = positions is null
            ? embedded.view(rows, columns, -1).Add(_positions.First(columns)).view(rows * columns, -1)
            : embedded.Add(_positions.At(positions));
        // What is never normalised itself is float32 where products are bfloat16.
        var first = _embeddingNorm is not null ? _embeddingNorm.Forward(sum) : _finalNorm is not null ? sum.to_type(ScalarType.Float32) : sum;
        var recompute = RecomputesActivations && is_grad_enabled() && positions is null && attention.PastColumns == 0;
        var x = LayerChain.Run(first, _layers.Length, recompute && prompts is not null ? prompts.KeysAndValues : [], recompute, given =>
        {
            var (seen, read) = recompute ? (attention.Anew(), prompts?.With(given)) : (attention, prompts);
            return (layer, input) =>
            {
                LayerInput?.Invoke(input);
                return _layers[layer].Forward(input, rows, seen, read);
            };
        });

        if (_finalNorm is not null) x = _finalNorm.Forward(x);
        return x.view(rows, columns, _settings.Width).MoveToOuterDisposeScope();
    }

    public IReadOnlyList<(Tensor Keys, Tensor Values)> KeysAndValues(Tensor encoded) => [.. _layers.Select(layer => layer.KeysAndValues(encoded))];

    public void Initialise(Generator random)
    {
        _positions.Initialise(_settings.InitialDeviation, random);
        _embeddingNorm?.Initialise();
        _finalNorm?.Initialise();
        foreach (var layer in _layers) layer.Initialise(_settings.InitialDeviation, random);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) _positions.Dispose();
        base.Dispose(disposing);
    }

    private static MultiHeadNames Names(string attention) => new($"{attention}.q_proj", $"{attention}.k_proj", $"{attention}.v_proj", $"{attention}.out_proj");
}

/// <summary>What positions add. No module itself: the library registers modules that it finds in fields, and sines and cosines have no name in some families' files.</summary>
internal sealed class PositionTable : IDisposable
{
    private readonly PositionKind _kind;
    private readonly int _first;
    private readonly Embedding _table;

    public PositionTable(BartSettings settings, Device device)
    {
        _kind = settings.PositionKind;
        // The first rows of a table that is learned belong to no position.
        _first = _kind == PositionKind.Learned ? 2 : 0;
        _table = new Embedding(settings.Positions + _first, settings.Width, device);
        if (_kind != PositionKind.Learned) SinusoidalPositions.Fill(_table.Weight);
    }

    /// <summary>The table, where files have it; null where it is computed.</summary>
    public Embedding? Stored => _kind == PositionKind.Computed ? null : _table;

    /// <summary>Of the first positions, [T, D].</summary>
    public Tensor First(long columns) => _table.Weight.narrow(0, _first, columns);

    /// <summary>Of positions [N] int64, [N, D].</summary>
    public Tensor At(Tensor positions) => _table.Forward(positions.Add(_first));

    public void Initialise(double deviation, Generator random)
    {
        if (_kind == PositionKind.Learned) _table.Initialise(deviation, random);
    }

    public void Dispose() => _table.Dispose();
}
