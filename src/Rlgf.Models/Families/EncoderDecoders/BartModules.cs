using Rlgf.Models.Blocks;
using Rlgf.Models.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Embedding = Rlgf.Models.Blocks.Embedding;
using LayerNorm = Rlgf.Models.Blocks.LayerNorm;

namespace Rlgf.Models.Families.EncoderDecoders;

/// <summary>BART with a head that scores the vocabulary, <c>BartForConditionalGeneration</c>, or labels, <c>BartForSequenceClassification</c>. A tied head is the embedding's own parameter.</summary>
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

/// <summary>The encoder or the decoder: positions, a norm and layers.</summary>
internal sealed class BartStack : nn.Module
{
    // The first rows of the position table belong to no position.
    private const int FirstPosition = 2;

    private static readonly PostNormNames EncoderNames = new(Names("self_attn"), "self_attn_layer_norm", "fc1", "fc2", "final_layer_norm");
    private static readonly PostNormNames DecoderNames = EncoderNames with { Prompt = (Names("encoder_attn"), "encoder_attn_layer_norm") };

    private readonly BartSettings _settings;
    private readonly Embedding _positionEmbedding;
    private readonly LayerNorm _embeddingNorm;
    private readonly PostNormLayer[] _layers;

    public BartStack(BartSettings settings, bool isDecoder, Device device) : base(nameof(BartStack))
    {
        _settings = settings;
        var (layers, sizes, names) = isDecoder ? (settings.DecoderLayers, settings.Decoder, DecoderNames) : (settings.EncoderLayers, settings.Encoder, EncoderNames);
        _positionEmbedding = new Embedding(settings.Positions + FirstPosition, settings.Width, device);
        _embeddingNorm = new LayerNorm(settings.Width, sizes.Epsilon, device);
        _layers = [.. Enumerable.Range(0, layers).Select(layer => new PostNormLayer(sizes, names, layer, device))];
        register_module("embed_positions", _positionEmbedding);
        register_module("layernorm_embedding", _embeddingNorm);
        register_module("layers", nn.ModuleList(_layers));
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
            ? embedded.view(rows, columns, -1).Add(_positionEmbedding.Weight.narrow(0, FirstPosition, columns)).view(rows * columns, -1)
            : embedded.Add(_positionEmbedding.Forward(positions.Add(FirstPosition)));
        var recompute = RecomputesActivations && is_grad_enabled() && positions is null && attention.PastColumns == 0;
        var x = LayerChain.Run(_embeddingNorm.Forward(sum), _layers.Length, recompute && prompts is not null ? prompts.KeysAndValues : [], recompute, given =>
        {
            var (seen, read) = recompute ? (attention.Anew(), prompts?.With(given)) : (attention, prompts);
            return (layer, input) =>
            {
                LayerInput?.Invoke(input);
                return _layers[layer].Forward(input, rows, seen, read);
            };
        });

        return x.view(rows, columns, _settings.Width).MoveToOuterDisposeScope();
    }

    public IReadOnlyList<(Tensor Keys, Tensor Values)> KeysAndValues(Tensor encoded) => [.. _layers.Select(layer => layer.KeysAndValues(encoded))];

    public void Initialise(Generator random)
    {
        _positionEmbedding.Initialise(_settings.InitialDeviation, random);
        _embeddingNorm.Initialise();
        foreach (var layer in _layers) layer.Initialise(_settings.InitialDeviation, random);
    }

    private static MultiHeadNames Names(string attention) => new($"{attention}.q_proj", $"{attention}.k_proj", $"{attention}.v_proj", $"{attention}.out_proj");
}
