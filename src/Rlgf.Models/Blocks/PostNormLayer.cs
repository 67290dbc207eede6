using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>Sizes of a <see cref="PostNormLayer"/>.</summary>
/// <param name="Width">D.</param>
/// <param name="Heads">H; divides D.</param>
/// <param name="Inner">Width inside the two-layer network.</param>
/// <param name="Epsilon">Of the norms.</param>
/// <param name="Activation">Of the two-layer network.</param>
internal sealed record PostNormSizes(int Width, int Heads, int Inner, double Epsilon, Func<Tensor, Tensor> Activation);

/// <summary>What a family calls the parts of a <see cref="PostNormLayer"/>.</summary>
internal sealed record PostNormNames(MultiHeadNames Attention, string AttentionNorm, string Inner, string Outer, string NetworkNorm);

/// <summary>The original transformer's layer (Vaswani et al. 2017): attention, then a two-layer network, each added to its input and the sum normalised.</summary>
internal sealed class PostNormLayer : nn.Module
{
    private readonly PostNormSizes _sizes;
    private readonly int _layer;
    private readonly MultiHead _attention;
    private readonly LayerNorm _attentionNorm;
    private readonly Linear _inner;
    private readonly Linear _outer;
    private readonly LayerNorm _networkNorm;

    public PostNormLayer(PostNormSizes sizes, PostNormNames names, int layer, Device device) : base(nameof(PostNormLayer))
    {
        _sizes = sizes;
        _layer = layer;
        _attention = new MultiHead(sizes.Width, sizes.Heads, sizes.Width / sizes.Heads, bias: true, device);
        _attentionNorm = new LayerNorm(sizes.Width, sizes.Epsilon, device);
        _inner = new Linear(sizes.Width, sizes.Inner, bias: true, device);
        _outer = new Linear(sizes.Inner, sizes.Width, bias: true, device);
        _networkNorm = new LayerNorm(sizes.Width, sizes.Epsilon, device);
        NamedModules.Register(this, [
            .. _attention.Named(names.Attention), (names.AttentionNorm, _attentionNorm),
            (names.Inner, _inner), (names.Outer, _outer), (names.NetworkNorm, _networkNorm)]);
    }

    /// <summary>[B·T, D] → [B·T, D].</summary>
    public Tensor Forward(Tensor x, long rows, IAttention attention)
    {
        using var scope = NewDisposeScope();
        x = _attentionNorm.Forward(x + _attention.Self(x, rows, _layer, attention));
        return _networkNorm.Forward(x + _outer.Forward(_sizes.Activation(_inner.Forward(x)))).MoveToOuterDisposeScope();
    }

    public void Initialise(double deviation, Generator random)
    {
        _attention.Initialise(deviation, random);
        _attentionNorm.Initialise();
        _inner.Initialise(deviation, random);
        _outer.Initialise(deviation, random);
        _networkNorm.Initialise();
    }
}
