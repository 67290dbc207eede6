using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Decoders;

/// <summary>A block's part that mixes the tokens of a row, or its network: parameters under the family's names.</summary>
internal interface IBlockPart : IDisposable
{
    /// <summary>The parts under the family's names, within the layer.</summary>
    IEnumerable<(string Name, nn.Module Module)> Named();

    /// <summary>[B·T, D] → [B·T, D], the caller's own.</summary>
    Tensor Forward(Tensor x, in DecoderPass pass);

    /// <summary>Draws fresh weights as the family does.</summary>
    void Initialise(Generator random);
}

/// <summary>What a layer mixes the tokens of a row with.</summary>
internal abstract record MixerSettings
{
    /// <summary>Makes it without values.</summary>
    public abstract IBlockPart Make(DecoderSettings settings, int layer, Device device);
}

/// <summary>Attention.</summary>
internal sealed record AttentionSettings : MixerSettings
{
    /// <summary>H: heads that ask.</summary>
    public required int Heads { get; init; }

    /// <summary>Heads that have keys and values; divides <see cref="Heads"/>, and each serves as many neighbours.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Numbers per head. Times <see cref="Heads"/> it need not be the model's width.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Rotation by position; null for none.</summary>
    public RotarySettings? Rotary { get; init; }

    /// <summary>A bias by the key's position; null for none. All layers must have the same.</summary>
    public AlibiSettings? Alibi { get; init; }

    /// <summary>How many tokens a token sees, itself included: the last ones or, in an encoder, as many on either side; null for all.</summary>
    public int? Window { get; init; }

    /// <summary>What q · k is multiplied by; null for 1 / √(D/H).</summary>
    public double? ScoreScale { get; init; }

    /// <summary>c: a score s becomes c · tanh(s / c); null for none.</summary>
    public double? ScoreCap { get; init; }

    /// <summary>How queries, keys and values are stored.</summary>
    public QueryKeyValueLayout Layout { get; init; }

    /// <summary>Whether and where queries and keys are normalised.</summary>
    public QueryKeyNorm QueryKeyNorm { get; init; }

    /// <summary>Whether the map to queries gives as many numbers again for each head, through whose sigmoids what was attended to is let.</summary>
    public bool OutputGate { get; init; }

    /// <summary>Whether each head has one more score that it learned, for no token.</summary>
    public bool Sinks { get; init; }

    /// <summary>Whether queries, keys and values are shifted.</summary>
    public bool QueryKeyValueBias { get; init; }

    /// <summary>Whether what attention adds is shifted.</summary>
    public bool OutputBias { get; init; }

    public override IBlockPart Make(DecoderSettings settings, int layer, Device device) => new SelfAttention(settings, this, layer, device);
}

/// <summary>Attention with linear biases (Press et al. 2022): a head's slope times the key's position is added to its scores, which to softmax is its distance from the query.</summary>
/// <param name="Slopes">[H].</param>
/// <param name="Scale">What they are multiplied by.</param>
/// <param name="Rounded">Whether slopes and products are rounded to bfloat16, whatever the model's type.</param>
internal sealed record AlibiSettings(float[] Slopes, double Scale = 1, bool Rounded = false)
{
    /// <summary>The slopes of the paper: 2^(−8i/m), i = 1 … m, for the largest power of two m up to n, and for further heads 2^(−4i/m), i = 1, 3, 5 ….</summary>
    public static float[] SlopesOf(int heads)
    {
        var most = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)heads + 1) / 2;
        return [.. Enumerable.Range(1, most).Select(i => (float)Math.Pow(2, -8.0 * i / most)), .. Enumerable.Range(0, heads - most).Select(i => (float)Math.Pow(2, -4.0 * (2 * i + 1) / most))];
    }

    /// <summary>Positions of keys [B or 1, 1, 1, C] float32 → what is added to scores [B or 1, H, 1, C] float32.</summary>
    public Tensor Bias(Tensor positions)
    {
        using var scope = NewDisposeScope();
        var slopes = tensor(Slopes, [1, Slopes.Length, 1, 1], device: positions.device);
        if (Rounded) (slopes, positions) = (slopes.to_type(ScalarType.BFloat16), positions.to_type(ScalarType.BFloat16));
        var bias = (slopes * positions).to_type(ScalarType.Float32);
        return (Scale == 1 ? bias : Tensors.TensorNumbers.Multiply(bias, Scale)).MoveToOuterDisposeScope();
    }
}

/// <summary>How a file holds the maps to queries, keys and values.</summary>
internal enum QueryKeyValueLayout
{
    /// <summary>Three maps.</summary>
    Separate,

    /// <summary>One map: all queries, all keys, all values.</summary>
    Fused,

    /// <summary>One map: for each head that has keys, its queries, its key and its value.</summary>
    FusedByHead,
}

/// <summary>Whether and where queries and keys are normalised.</summary>
internal enum QueryKeyNorm
{
    /// <summary>They aren't.</summary>
    None,

    /// <summary>Those of each head, before rotation.</summary>
    PerHead,

    /// <summary>Those of all heads together, before rotation.</summary>
    AllHeads,

    /// <summary>Those of each head, after rotation.</summary>
    AfterRotation,
}
