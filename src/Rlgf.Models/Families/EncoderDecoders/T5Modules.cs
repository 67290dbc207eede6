using Rlgf.Models.Blocks;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using Embedding = Rlgf.Models.Blocks.Embedding;
using Linear = Rlgf.Models.Blocks.Linear;

namespace Rlgf.Models.Families.EncoderDecoders;

/// <summary>T5 with a head that scores the vocabulary, <c>T5ForConditionalGeneration</c>, or labels, <c>T5ForSequenceClassification</c>. A tied head is the embedding's own parameter.</summary>
internal sealed class T5Module : nn.Module, IEncoderDecoder
{
    /// <summary>What the names of a classifier's parameters begin with, its head's excepted.</summary>
    public const string Trunk = "transformer.";

    private readonly T5Settings _settings;
    private readonly Embedding _embedding;
    private readonly T5Stack _encoder;
    private readonly T5Stack _decoder;
    private readonly Embedding? _head;
    private readonly ClassificationHead? _labels;

    public T5Module(T5Settings settings, int? labels, Device device) : base(nameof(T5Module))
    {
        _settings = settings;
        _embedding = new Embedding(settings.Vocabulary, settings.Width, device);
        _encoder = new T5Stack(settings, isDecoder: false, device);
        _decoder = new T5Stack(settings, isDecoder: true, device);
        var trunk = labels is null ? "" : Trunk;
        List<(string, nn.Module)> parts = [($"{trunk}shared", _embedding), ($"{trunk}encoder", _encoder), ($"{trunk}decoder", _decoder)];
        if (labels is { } count) parts.Add(("classification_head", _labels = new ClassificationHead(settings.Width, count, device)));
        else if (!settings.TiedHead) parts.Add(("lm_head", _head = new Embedding(settings.Vocabulary, settings.Width, device)));
        NamedModules.Register(this, parts);
    }

    /// <summary>The half that reads.</summary>
    internal T5Stack Encoder => _encoder;

    /// <summary>The half that writes.</summary>
    internal T5Stack Decoder => _decoder;

    public bool RecomputesActivations
    {
        get => _decoder.RecomputesActivations;
        set => (_encoder.RecomputesActivations, _decoder.RecomputesActivations) = (value, value);
    }

    public int DecoderLayers => _settings.DecoderLayers;

    public Tensor Encode(Tensor ids, IAttention attention) => _encoder.Forward(_embedding.Forward(ids.view(-1)), ids.size(0), ids.size(1), attention, null);

    public IReadOnlyList<(Tensor Keys, Tensor Values)> KeysAndValues(Tensor encoded) => _decoder.KeysAndValues(encoded);

    public Tensor Decode(Tensor ids, TokenPositions? positions, IAttention attention, CrossAttention prompts) =>
        _decoder.Forward(_embedding.Forward(ids.view(-1)), ids.size(0), ids.size(1), attention, prompts);

    public Tensor Logits(Tensor states)
    {
        using var scope = NewDisposeScope();
        if (_labels is null && _settings.ScaledHead) states = states.Multiply((float)(1 / Math.Sqrt(_settings.Width)));
        var logits = _labels is not null ? _labels.Forward(states) : (_head ?? _embedding).Scores(states);
        return logits.to_type(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        _embedding.Initialise(_settings.InitialFactor, random);
        _head?.Initialise(_settings.InitialFactor, random);
        _labels?.Initialise(_settings.InitialFactor / Math.Sqrt(_settings.Width), random);
        _encoder.Initialise(random);
        _decoder.Initialise(random);
    }
}

/// <summary>The encoder or the decoder: blocks and a final norm, <c>T5Stack</c>. Where only the first block has a bias by distance, it serves all.</summary>
internal sealed class T5Stack : nn.Module
{
    private readonly T5Settings _settings;
    private readonly RelativePositionBias[] _biases;
    private readonly T5Block[] _blocks;
    private readonly RmsNorm _finalNorm;

    public T5Stack(T5Settings settings, bool isDecoder, Device device) : base(nameof(T5Stack))
    {
        _settings = settings;
        var layers = isDecoder ? settings.DecoderLayers : settings.EncoderLayers;
        _biases = [.. Enumerable.Range(0, settings.BiasInEveryLayer ? layers : 1).Select(_ => new RelativePositionBias(settings.Buckets, settings.MaxDistance, settings.Heads, looksAhead: !isDecoder, device))];
        _blocks = [.. Enumerable.Range(0, layers).Select(layer => new T5Block(settings, layer, isDecoder, layer < _biases.Length ? _biases[layer] : null, device))];
        _finalNorm = new RmsNorm(settings.Width, settings.Epsilon, fromOne: false, device);
        register_module("block", nn.ModuleList(_blocks));
        register_module("final_layer_norm", _finalNorm);
    }

    /// <summary>Told what each layer reads, [B·T, D]: where a new family differs from what is expected, the first layer that does can be found so.</summary>
    internal Action<Tensor>? LayerInput { get; set; }

    /// <summary>Whether layers' activations are computed again for gradients instead of being kept.</summary>
    public bool RecomputesActivations { get; set; }

    /// <summary>[B·T, D] embeddings → [B, T, D] states.</summary>
    public Tensor Forward(Tensor x, long rows, long columns, IAttention attention, CrossAttention? prompts)
    {
        using var scope = NewDisposeScope();
        // What the layers add up is float32 where their products are bfloat16.
        x = x.to_type(ScalarType.Float32);
        // What writes begins with no past either, but with a cache.
        var recompute = RecomputesActivations && is_grad_enabled() && attention.PastColumns == 0;
        Tensor[] shared = [.. _biases.Select(bias => bias.Forward((int)columns, attention.PastColumns + (int)columns)), .. recompute && prompts is not null ? prompts.KeysAndValues : []];
        x = LayerChain.Run(x, _blocks.Length, shared, recompute, given =>
        {
            var (seen, read) = recompute ? (attention.Anew(), prompts?.With(given.Skip(_biases.Length))) : (attention, prompts);
            return (layer, input) =>
            {
                LayerInput?.Invoke(input);
                return _blocks[layer].Forward(input, rows, seen, given[Math.Min(layer, _biases.Length - 1)], read);
            };
        });

        return _finalNorm.Forward(x).view(rows, columns, _settings.Width).MoveToOuterDisposeScope();
    }

    public IReadOnlyList<(Tensor Keys, Tensor Values)> KeysAndValues(Tensor encoded) => [.. _blocks.Select(block => block.KeysAndValues(encoded))];

    public void Initialise(Generator random)
    {
        foreach (var bias in _biases) bias.Initialise(_settings.InitialFactor / Math.Sqrt(_settings.Width), random);
        foreach (var block in _blocks) block.Initialise(random);
        _finalNorm.Initialise();
    }
}

/// <summary>Attention, in the decoder attention to the prompt, and a network, each on normalised input and added to the residual stream.</summary>
internal sealed class T5Block : nn.Module
{
    private static readonly MultiHeadNames SelfNames = Names("layer.0.SelfAttention");
    private static readonly MultiHeadNames PromptNames = Names("layer.1.EncDecAttention");

    private readonly T5Settings _settings;
    private readonly int _layer;
    private readonly MultiHead _attention;
    private readonly RmsNorm _attentionNorm;
    private readonly MultiHead? _promptAttention;
    private readonly RmsNorm? _promptNorm;
    private readonly Linear _inner;
    private readonly Linear? _gate;
    private readonly Linear _outer;
    private readonly RmsNorm _networkNorm;

    public T5Block(T5Settings settings, int layer, bool isDecoder, RelativePositionBias? bias, Device device) : base(nameof(T5Block))
    {
        _settings = settings;
        _layer = layer;
        _attention = Attention();
        _attentionNorm = Norm();
        _inner = new Linear(settings.Width, settings.Inner, bias: false, device);
        _gate = settings.Gated ? new Linear(settings.Width, settings.Inner, bias: false, device) : null;
        _outer = new Linear(settings.Inner, settings.Width, bias: false, device);
        _networkNorm = Norm();
        List<(string, nn.Module)> parts = [.. _attention.Named(SelfNames), ("layer.0.layer_norm", _attentionNorm)];
        if (bias is not null) parts.Add(("layer.0.SelfAttention.relative_attention_bias", bias));
        if (isDecoder)
        {
            _promptAttention = Attention();
            _promptNorm = Norm();
            parts.AddRange([.. _promptAttention.Named(PromptNames), ("layer.1.layer_norm", _promptNorm)]);
        }

        var network = isDecoder ? "layer.2" : "layer.1";
        parts.AddRange([
            ($"{network}.DenseReluDense.{(_gate is null ? "wi" : "wi_0")}", _inner), ($"{network}.DenseReluDense.wo", _outer), ($"{network}.layer_norm", _networkNorm)]);
        if (_gate is not null) parts.Add(($"{network}.DenseReluDense.wi_1", _gate));
        NamedModules.Register(this, parts);

        MultiHead Attention() => new(settings.Width, settings.Heads, settings.HeadSize, bias: false, device, scaled: false);
        RmsNorm Norm() => new(settings.Width, settings.Epsilon, fromOne: false, device);
    }

    /// <summary>[B·T, D] → [B·T, D].</summary>
    public Tensor Forward(Tensor x, long rows, IAttention attention, Tensor bias, CrossAttention? prompts)
    {
        using var scope = NewDisposeScope();
        x = FusedOperations.Sum(x, _attention.Self(_attentionNorm.Forward(x), rows, _layer, attention, bias));
        if (prompts is not null) x = FusedOperations.Sum(x, _promptAttention!.Cross(_promptNorm!.Forward(x), rows, _layer, prompts));
        var normalised = _networkNorm.Forward(x);
        var inner = _inner.Forward(normalised);
        inner = _gate is null ? _settings.Activation.Forward(inner) : _settings.Activation.Gate(inner, _gate.Forward(normalised));
        return FusedOperations.Sum(x, _outer.Forward(inner)).MoveToOuterDisposeScope();
    }

    public (Tensor Keys, Tensor Values) KeysAndValues(Tensor encoded) => _promptAttention!.KeysAndValues(encoded);

    /// <summary>Deviations that make up for the missing √(head size), as in the reference implementation.</summary>
    public void Initialise(Generator random)
    {
        var factor = _settings.InitialFactor;
        var byWidth = factor / Math.Sqrt(_settings.Width);
        foreach (var attention in (MultiHead?[])[_attention, _promptAttention])
            attention?.Initialise(byWidth / Math.Sqrt(_settings.HeadSize), byWidth, factor / Math.Sqrt(_settings.Heads * _settings.HeadSize), random);
        _attentionNorm.Initialise();
        _promptNorm?.Initialise();
        _inner.Initialise(byWidth, random);
        _gate?.Initialise(byWidth, random);
        _outer.Initialise(factor / Math.Sqrt(_settings.Inner), random);
        _networkNorm.Initialise();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            // Not registered themselves, so that nothing else disposes of them.
            _attention.Dispose();
            _promptAttention?.Dispose();
        }

        base.Dispose(disposing);
    }

    private static MultiHeadNames Names(string attention) => new($"{attention}.q", $"{attention}.k", $"{attention}.v", $"{attention}.o");
}
