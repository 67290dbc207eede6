using Rlgf.Models.Blocks;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using Embedding = Rlgf.Models.Blocks.Embedding;
using Linear = Rlgf.Models.Blocks.Linear;

namespace Rlgf.Models.Families.Decoders;

/// <summary>
/// A decoder-only model of any family: embeddings, blocks, the final norm and a head, which scores the vocabulary or the labels of a classifier. All parameters have the names of the checkpoint format.
/// </summary>
internal sealed class DecoderModule : nn.Module, ICausalTransformer
{
    private readonly DecoderSettings _settings;
    private readonly Embedding _tokens;
    private readonly Embedding? _positions;
    private readonly INorm? _embeddingNorm;
    private readonly (RotarySettings Settings, RotaryTables Tables)[] _rotations;
    private readonly DecoderBlock[] _blocks;
    private readonly INorm _finalNorm;
    private readonly Linear? _head;
    private readonly int? _labels;

    /// <summary>Makes a model without values.</summary>
    /// <param name="settings">The family's reading of its configuration.</param>
    /// <param name="labels">Number of labels of a classifier; null for a language model.</param>
    /// <param name="device">Where.</param>
    public DecoderModule(DecoderSettings settings, int? labels, Device device) : base(nameof(DecoderModule))
    {
        (_settings, _labels) = (settings, labels);
        _tokens = new Embedding(settings.Vocabulary, settings.Width, device) { CanBeAdapted = true };
        if (settings.Names.PositionEmbedding is not null) _positions = new Embedding(settings.FirstPosition + settings.Context, settings.Width, device);
        if (settings.Names.EmbeddingNorm is not null) _embeddingNorm = settings.Norm(settings.Width, device);
        var attentions = Enumerable.Range(0, settings.Layers).Select(settings.MixerOf).OfType<AttentionSettings>().ToArray();
        _rotations = [.. attentions.Select(attention => attention.Rotary).OfType<RotarySettings>().Distinct(ReferenceEqualityComparer.Instance).Cast<RotarySettings>().Select(rotary => (rotary, new RotaryTables(rotary, device)))];
        Windows = [.. attentions.Select(attention => attention.Window).Distinct()];
        OnlyAttends = attentions.Length == settings.Layers;
        SameRotationUpTo = _rotations.Min(rotation => rotation.Settings.SameUpTo);
        _blocks = [.. Enumerable.Range(0, settings.Layers).Select(layer => new DecoderBlock(settings, layer, device))];
        _finalNorm = settings.Norm(settings.Width, device);
        if (labels is { } count) _head = new Linear(settings.Width, count, bias: false, device);
        else if (!settings.TiedHead) _head = new Linear(settings.Width, settings.Vocabulary, settings.HeadBias, device);
        NamedModules.Register(this, Named());
    }

    /// <summary>Told what each layer reads, [B·T, D]: where a new family differs from what is expected, the first layer that does can be found so.</summary>
    internal Action<Tensor>? LayerInput { get; set; }

    public bool RecomputesActivations { get; set; }

    public int Layers => _settings.Layers;

    public IReadOnlyList<int?> Windows { get; }

    public bool OnlyAttends { get; }

    public int? SameRotationUpTo { get; }

    public Tensor States(Tensor ids, TokenPositions? positions, IAttention attention) => States(ids, positions, attention, layers: null);

    /// <summary>As the other one, but after some of the layers, from the first: the final norm is for all of them (null).</summary>
    public Tensor States(Tensor ids, TokenPositions? positions, IAttention attention, int? layers)
    {
        using var scope = NewDisposeScope();
        long rows = ids.size(0), columns = ids.size(1);
        var recompute = RecomputesActivations && is_grad_enabled() && positions is null;
        var x = LayerChain.Run(Embed(ids, positions), layers ?? _blocks.Length, [], recompute, _ =>
        {
            var seen = recompute ? attention.Anew() : attention;
            var pass = new DecoderPass(
                rows, columns, seen, Array.ConvertAll(_rotations, rotation => (rotation.Settings, rotation.Tables.At(positions, rows, columns, seen.Longest))), _settings.Attention.Alibi?.Bias(seen.KeyPositions((int)columns)));
            return (layer, input) =>
            {
                LayerInput?.Invoke(input);
                return _blocks[layer].Forward(input, pass);
            };
        });

        return (layers < _blocks.Length ? x : _finalNorm.Forward(x)).view(rows, columns, _settings.Width).MoveToOuterDisposeScope();
    }

    public Tensor Logits(Tensor states)
    {
        using var scope = NewDisposeScope();
        var logits = (_head is null ? _tokens.Scores(states) : _head.Forward(states)).to_type(ScalarType.Float32);
        if (_labels is null && _settings.LogitDivisor != 1) logits = logits.Divide(_settings.LogitDivisor);
        if (_labels is null && _settings.LogitCap is { } cap) logits = logits.Divide(cap).tanh().Multiply(cap);
        return logits.MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        _tokens.Initialise(_settings.InitialDeviation, random);
        _positions?.Initialise(_settings.InitialDeviation, random);
        _embeddingNorm?.Initialise();
        foreach (var block in _blocks) block.Initialise(random);
        _finalNorm.Initialise();
        _head?.Initialise(_settings.InitialDeviation, random);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (var (_, tables) in _rotations) tables.Dispose();
            foreach (var block in _blocks) block.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>The parts under the family's names.</summary>
    public IEnumerable<(string Name, nn.Module Module)> Named()
    {
        var names = _settings.Names;
        yield return ($"{names.Trunk}.{names.TokenEmbedding}", _tokens);
        if (_positions is not null) yield return ($"{names.Trunk}.{names.PositionEmbedding}", _positions);
        if (_embeddingNorm is not null) yield return ($"{names.Trunk}.{names.EmbeddingNorm}", (nn.Module)_embeddingNorm);
        for (var layer = 0; layer < _blocks.Length; layer++)
        {
            foreach (var (name, module) in _blocks[layer].Named()) yield return ($"{names.Trunk}.{names.Layers}.{layer}.{name}", module);
        }

        yield return ($"{names.Trunk}.{names.FinalNorm}", (nn.Module)_finalNorm);
        if (_head is not null) yield return (_labels is null ? names.Head : "score", _head);
    }

    /// <summary>[B, T] ids → [B·T, D].</summary>
    private Tensor Embed(Tensor ids, TokenPositions? positions)
    {
        // What the layers add up is float32 where their products are bfloat16: it costs no time, and gradients are nearer to those of float32 (docs/benchmarks.md).
        var x = _tokens.Forward(ids.view(-1)).to_type(ScalarType.Float32);
        if (_settings.EmbeddingScale != 1) x.MultiplyInPlace(_settings.EmbeddingScale);
        if (_embeddingNorm is not null) x = _embeddingNorm.Forward(x).to_type(ScalarType.Float32);
        if (_positions is null) return x;
        if (positions is { } given) return x.AddInPlace(_positions.Forward(_settings.FirstPosition == 0 ? given.Values : given.Values.Add(_settings.FirstPosition)));
        long columns = ids.size(1);
        return x.view(-1, columns, _settings.Width).Add(_positions.Weight.narrow(0, _settings.FirstPosition, columns)).view(-1, _settings.Width);
    }
}
