using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>Sizes of a <see cref="TransformerLayer"/>.</summary>
/// <param name="Width">D.</param>
/// <param name="Heads">H; divides D.</param>
/// <param name="Inner">Width inside the two-layer network.</param>
/// <param name="Epsilon">Of the norms.</param>
/// <param name="Activation">Of the two-layer network.</param>
/// <param name="NormFirst">Whether each part reads what is normalised, and sums are left as they are (Xiong et al. 2020, "On layer normalization in the transformer architecture").</param>
internal sealed record TransformerLayerSizes(int Width, int Heads, int Inner, double Epsilon, Activation Activation, bool NormFirst = false);

/// <summary>What a family calls the parts of a <see cref="TransformerLayer"/>.</summary>
/// <param name="Attention">Among the row's own tokens.</param>
/// <param name="AttentionNorm">Its norm.</param>
/// <param name="Inner">First product of the network.</param>
/// <param name="Outer">Second product.</param>
/// <param name="NetworkNorm">Its norm.</param>
/// <param name="Prompt">In a decoder that sees an encoder's states, the attention to them and its norm.</param>
internal sealed record TransformerLayerNames(
    MultiHeadNames Attention, string AttentionNorm, string Inner, string Outer, string NetworkNorm, (MultiHeadNames Attention, string Norm)? Prompt = null);

/// <summary>
/// The original transformer's layer (Vaswani et al. 2017): attention, in a decoder then attention to the encoder's states, then a two-layer network, each added to its input and the sum normalised, or its input normalised before it.
/// </summary>
internal sealed class TransformerLayer : nn.Module
{
    private readonly TransformerLayerSizes _sizes;
    private readonly int _layer;
    private readonly MultiHead _attention;
    private readonly LayerNorm _attentionNorm;
    private readonly MultiHead? _promptAttention;
    private readonly LayerNorm? _promptNorm;
    private readonly Linear _inner;
    private readonly Linear _outer;
    private readonly LayerNorm _networkNorm;

    public TransformerLayer(TransformerLayerSizes sizes, TransformerLayerNames names, int layer, Device device) : base(nameof(TransformerLayer))
    {
        _sizes = sizes;
        _layer = layer;
        _attention = new MultiHead(sizes.Width, sizes.Heads, sizes.Width / sizes.Heads, bias: true, device);
        _attentionNorm = new LayerNorm(sizes.Width, sizes.Epsilon, device);
        _inner = new Linear(sizes.Width, sizes.Inner, bias: true, device);
        _outer = new Linear(sizes.Inner, sizes.Width, bias: true, device);
        _networkNorm = new LayerNorm(sizes.Width, sizes.Epsilon, device);
        List<(string, nn.Module)> parts =
        [
            .. _attention.Named(names.Attention), (names.AttentionNorm, _attentionNorm),
            (names.Inner, _inner), (names.Outer, _outer), (names.NetworkNorm, _networkNorm),
        ];
        if (names.Prompt is { } prompt)
        {
            _promptAttention = new MultiHead(sizes.Width, sizes.Heads, sizes.Width / sizes.Heads, bias: true, device);
            _promptNorm = new LayerNorm(sizes.Width, sizes.Epsilon, device);
            parts.AddRange([.. _promptAttention.Named(prompt.Attention), (prompt.Norm, _promptNorm)]);
        }

        NamedModules.Register(this, parts);
    }

    /// <summary>[B·T, D] → [B·T, D].</summary>
    public Tensor Forward(Tensor x, long rows, IAttention attention, CrossAttention? prompts = null, DistanceStates? distances = null)
    {
        using var scope = NewDisposeScope();
        x = Added(x, _attentionNorm, read => _attention.Self(read, rows, _layer, attention, distances: distances));
        if (prompts is not null) x = Added(x, _promptNorm!, read => _promptAttention!.Cross(read, rows, _layer, prompts));
        return Added(x, _networkNorm, read => _outer.Forward(_sizes.Activation.Forward(_inner.Forward(read)))).MoveToOuterDisposeScope();
    }

    /// <summary>In a decoder, what this layer sees of the encoder's states, as <see cref="MultiHead.KeysAndValues"/>.</summary>
    public (Tensor Keys, Tensor Values) KeysAndValues(Tensor encoded) => _promptAttention!.KeysAndValues(encoded);

    public void Initialise(double deviation, Generator random)
    {
        _attention.Initialise(deviation, random);
        _attentionNorm.Initialise();
        _promptAttention?.Initialise(deviation, random);
        _promptNorm?.Initialise();
        _inner.Initialise(deviation, random);
        _outer.Initialise(deviation, random);
        _networkNorm.Initialise();
    }

    private Tensor Added(Tensor x, LayerNorm norm, Func<Tensor, Tensor> part) => _sizes.NormFirst ? FusedOperations.Sum(x, part(norm.Forward(x))) : norm.Forward(FusedOperations.Sum(x, part(x)));

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
}
