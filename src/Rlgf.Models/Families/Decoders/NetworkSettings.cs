using Rlgf.Models.Blocks;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Decoders;

/// <summary>What a layer makes of each token.</summary>
internal abstract record NetworkSettings
{
    /// <summary>Makes it without values.</summary>
    public abstract IBlockPart Make(DecoderSettings settings, Device device);
}

/// <summary>The two-layer network, plain or gated.</summary>
internal sealed record FeedForwardSettings : NetworkSettings
{
    /// <summary>Width inside.</summary>
    public required int Inner { get; init; }

    /// <summary>How it is built and stored.</summary>
    public NetworkLayout Layout { get; init; }

    /// <summary>Activation inside.</summary>
    public required Activation Activation { get; init; }

    /// <summary>Whether its maps are shifted.</summary>
    public bool Bias { get; init; }

    public override IBlockPart Make(DecoderSettings settings, Device device) => new FeedForward(settings, this, device);
}

/// <summary>How the two-layer network is built and stored.</summary>
internal enum NetworkLayout
{
    /// <summary>down(act(up(x))).</summary>
    Plain,

    /// <summary>down(act(gate(x)) · up(x)) (Shazeer 2020).</summary>
    Gated,

    /// <summary>The same with one map for gate and up, one after the other.</summary>
    FusedGated,
}
