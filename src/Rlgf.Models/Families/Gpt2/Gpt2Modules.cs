using Rlgf.Models.Blocks;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using Embedding = Rlgf.Models.Blocks.Embedding;
using LayerNorm = Rlgf.Models.Blocks.LayerNorm;

namespace Rlgf.Models.Families.Gpt2;

/// <summary>GPT-2 with its head, <c>GPT2LMHeadModel</c>. A tied head is the embedding's own parameter.</summary>
internal sealed class Gpt2LanguageModule : nn.Module, ICausalTransformer
{
    private readonly Gpt2Settings _settings;
    private readonly Gpt2Trunk _transformer;
    private readonly Embedding? _head;

    public Gpt2LanguageModule(Gpt2Settings settings, Device device) : base("GPT2LMHeadModel")
    {
        _settings = settings;
        _transformer = new Gpt2Trunk(settings, device);
        register_module("transformer", _transformer);
        if (settings.TiedHead) return;
        _head = new Embedding(settings.Vocabulary, settings.Width, device);
        register_module("lm_head", _head);
    }

    public (int Layers, int KeyValueHeads, int HeadSize) CacheShape => (_settings.Layers, _settings.Heads, _settings.Width / _settings.Heads);

    public Tensor States(Tensor ids, Tensor? positions, IAttention attention) => _transformer.Forward(ids, positions, attention);

    public Tensor Logits(Tensor states) => nn.functional.linear(states, _head is null ? _transformer.TokenEmbedding.Weight : _head.Weight);

    public void Initialise(Generator random)
    {
        _transformer.Initialise(random);
        _head?.Initialise(_settings.InitialDeviation, random);
    }
}

/// <summary>GPT-2 with a score for each label, <c>GPT2ForSequenceClassification</c>; the "logits" here are the C scores of a state.</summary>
internal sealed class Gpt2ClassifierModule : nn.Module, ICausalTransformer
{
    private readonly Gpt2Settings _settings;
    private readonly Gpt2Trunk _transformer;
    private readonly Embedding _score;

    public Gpt2ClassifierModule(Gpt2Settings settings, int labels, Device device) : base("GPT2ForSequenceClassification")
    {
        _settings = settings;
        _transformer = new Gpt2Trunk(settings, device);
        _score = new Embedding(labels, settings.Width, device);
        register_module("transformer", _transformer);
        register_module("score", _score);
    }

    public (int Layers, int KeyValueHeads, int HeadSize) CacheShape => (_settings.Layers, _settings.Heads, _settings.Width / _settings.Heads);

    public Tensor States(Tensor ids, Tensor? positions, IAttention attention) => _transformer.Forward(ids, positions, attention);

    public Tensor Logits(Tensor states) => nn.functional.linear(states, _score.Weight);

    public void Initialise(Generator random)
    {
        _transformer.Initialise(random);
        _score.Initialise(_settings.InitialDeviation, random);
    }
}

/// <summary>Embeddings, blocks and the final norm, <c>GPT2Model</c>.</summary>
internal sealed class Gpt2Trunk : nn.Module
{
    private readonly Gpt2Settings _settings;
    private readonly Embedding _positionEmbedding;
    private readonly Gpt2Block[] _blocks;
    private readonly LayerNorm _finalNorm;

    public Gpt2Trunk(Gpt2Settings settings, Device device) : base("GPT2Model")
    {
        _settings = settings;
        TokenEmbedding = new Embedding(settings.Vocabulary, settings.Width, device);
        _positionEmbedding = new Embedding(settings.Context, settings.Width, device);
        _blocks = [.. Enumerable.Range(0, settings.Layers).Select(layer => new Gpt2Block(settings, layer, device))];
        _finalNorm = new LayerNorm(settings.Width, settings.Epsilon, device);
        register_module("wte", TokenEmbedding);
        register_module("wpe", _positionEmbedding);
        register_module("h", nn.ModuleList(_blocks));
        register_module("ln_f", _finalNorm);
    }

    public Embedding TokenEmbedding { get; }

    /// <summary>As <see cref="ICausalTransformer.States"/>.</summary>
    public Tensor Forward(Tensor ids, Tensor? positions, IAttention attention)
    {
        using var scope = NewDisposeScope();
        long rows = ids.size(0), columns = ids.size(1);
        var tokens = TokenEmbedding.Forward(ids.view(-1));
        var x = positions is null
            ? (tokens.view(rows, columns, _settings.Width) + _positionEmbedding.Weight.narrow(0, 0, columns)).view(-1, _settings.Width)
            : tokens.add_(_positionEmbedding.Forward(positions));
        foreach (var block in _blocks)
        {
            var next = block.Forward(x, rows, columns, attention);
            x.Dispose();
            x = next;
        }

        return _finalNorm.Forward(x).view(rows, columns, _settings.Width).MoveToOuterDisposeScope();
    }

    /// <summary>N(0, 0.02²), and 1/√(2L) of that for the projections that add to the residual stream (Radford et al. 2019, section 2.3).</summary>
    public void Initialise(Generator random)
    {
        TokenEmbedding.Initialise(_settings.InitialDeviation, random);
        _positionEmbedding.Initialise(_settings.InitialDeviation, random);
        foreach (var block in _blocks) block.Initialise(random);
        _finalNorm.Initialise();
    }
}

/// <summary>Attention, then a two-layer network, each on normalised input and added to the residual stream.</summary>
internal sealed class Gpt2Block : nn.Module
{
    private readonly Gpt2Settings _settings;
    private readonly int _layer;
    private readonly LayerNorm _attentionNorm;
    private readonly Conv1D _queriesKeysValues;
    private readonly Conv1D _attentionProjection;
    private readonly LayerNorm _networkNorm;
    private readonly Conv1D _networkInner;
    private readonly Conv1D _networkProjection;

    public Gpt2Block(Gpt2Settings settings, int layer, Device device) : base("GPT2Block")
    {
        _settings = settings;
        _layer = layer;
        var width = settings.Width;
        _attentionNorm = new LayerNorm(width, settings.Epsilon, device);
        _queriesKeysValues = new Conv1D(width, 3 * width, device);
        _attentionProjection = new Conv1D(width, width, device);
        _networkNorm = new LayerNorm(width, settings.Epsilon, device);
        _networkInner = new Conv1D(width, settings.Inner, device);
        _networkProjection = new Conv1D(settings.Inner, width, device);
        register_module("ln_1", _attentionNorm);
        register_module("attn", new Named(("c_attn", _queriesKeysValues), ("c_proj", _attentionProjection)));
        register_module("ln_2", _networkNorm);
        register_module("mlp", new Named(("c_fc", _networkInner), ("c_proj", _networkProjection)));
    }

    /// <summary>[B·T, D] → [B·T, D].</summary>
    public Tensor Forward(Tensor x, long rows, long columns, IAttention attention)
    {
        using var scope = NewDisposeScope();
        var heads = _queriesKeysValues.Forward(_attentionNorm.Forward(x)).view(rows, columns, 3 * _settings.Heads, _settings.Width / _settings.Heads).transpose(1, 2).chunk(3, 1);
        var attended = attention.Attend(_layer, heads[0], heads[1], heads[2]).transpose(1, 2).reshape(-1, _settings.Width);
        x = x + _attentionProjection.Forward(attended);
        var inner = _settings.Activation(_networkInner.Forward(_networkNorm.Forward(x)));
        return (x + _networkProjection.Forward(inner)).MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        var deviation = _settings.InitialDeviation;
        var residualDeviation = deviation / Math.Sqrt(2 * _settings.Layers);
        _attentionNorm.Initialise();
        _queriesKeysValues.Initialise(deviation, random);
        _attentionProjection.Initialise(residualDeviation, random);
        _networkNorm.Initialise();
        _networkInner.Initialise(deviation, random);
        _networkProjection.Initialise(residualDeviation, random);
    }

    /// <summary>A level of the parameters' names that does nothing itself.</summary>
    private sealed class Named : nn.Module
    {
        public Named(params (string Name, nn.Module Module)[] modules) : base(nameof(Named))
        {
            foreach (var (name, module) in modules) register_module(name, module);
        }
    }
}
