using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Decoders;

/// <summary>The two-layer network of a block, plain or gated.</summary>
internal sealed class FeedForward : IBlockPart
{
    private readonly DecoderSettings _settings;
    private readonly FeedForwardSettings _network;
    private readonly IProjection[] _inner;
    private readonly IProjection _down;
    private readonly JointProjection? _joint;

    public FeedForward(DecoderSettings settings, FeedForwardSettings network, Device device)
    {
        (_settings, _network) = (settings, network);
        var outputs = network.Layout == NetworkLayout.FusedGated ? 2 * network.Inner : network.Inner;
        var maps = network.Layout == NetworkLayout.Gated ? 2 : 1;
        _inner = [.. Enumerable.Range(0, maps).Select(_ => settings.Projection(settings.Width, outputs, network.Bias, device))];
        _down = settings.Projection(network.Inner, settings.Width, network.Bias, device);
        _joint = JointProjection.Of(_inner);
    }

    public IEnumerable<(string Name, nn.Module Module)> Named() => _settings.Names.Network.Zip([.. _inner, _down], (name, projection) => (name, (nn.Module)projection));

    public Tensor Forward(Tensor x, in DecoderPass pass)
    {
        using var scope = NewDisposeScope();
        return _down.Forward(Inner(x)).MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        foreach (var projection in _inner) projection.Initialise(_settings.InitialDeviation, random);
        _down.Initialise(_settings.ResidualInitialDeviation ?? _settings.InitialDeviation, random);
    }

    public void Dispose() => _joint?.Dispose();

    /// <summary>[B·T, D] → [B·T, inner width].</summary>
    private Tensor Inner(Tensor x)
    {
        if (_network.Layout == NetworkLayout.Plain) return _network.Activation.Forward(_inner[0].Forward(x));
        if (_joint is null || _joint.TryForward(x) is not { } gateAndUp)
        {
            if (_network.Layout == NetworkLayout.Gated) return _network.Activation.Gate(_inner[0].Forward(x), _inner[1].Forward(x));
            gateAndUp = _inner[0].Forward(x);
        }

        var halves = gateAndUp.chunk(2, -1);
        return _network.Activation.Gate(halves[0], halves[1]);
    }
}
