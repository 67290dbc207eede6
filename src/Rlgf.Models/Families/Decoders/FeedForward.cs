using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Decoders;

/// <summary>The two-layer network of a block, plain or gated.</summary>
internal sealed class FeedForward : IDisposable
{
    private readonly DecoderSettings _settings;
    private readonly IProjection[] _inner;
    private readonly IProjection _down;
    private readonly JointProjection? _joint;

    public FeedForward(DecoderSettings settings, Device device)
    {
        _settings = settings;
        var outputs = settings.NetworkLayout == NetworkLayout.FusedGated ? 2 * settings.Inner : settings.Inner;
        var maps = settings.NetworkLayout == NetworkLayout.Gated ? 2 : 1;
        _inner = [.. Enumerable.Range(0, maps).Select(_ => settings.Projection(settings.Width, outputs, settings.NetworkBias, device))];
        _down = settings.Projection(settings.Inner, settings.Width, settings.NetworkBias, device);
        _joint = JointProjection.Of(_inner);
    }

    /// <summary>The parts under the family's names.</summary>
    public IEnumerable<(string Name, nn.Module Module)> Named() => _settings.Names.Network.Zip([.. _inner, _down], (name, projection) => (name, (nn.Module)projection));

    /// <summary>[B·T, D] → [B·T, D].</summary>
    public Tensor Forward(Tensor x)
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
        if (_settings.NetworkLayout == NetworkLayout.Plain) return _settings.Activation.Forward(_inner[0].Forward(x));
        if (_joint is null || _joint.TryForward(x) is not { } gateAndUp)
        {
            if (_settings.NetworkLayout == NetworkLayout.Gated) return _settings.Activation.Gate(_inner[0].Forward(x), _inner[1].Forward(x));
            gateAndUp = _inner[0].Forward(x);
        }

        var halves = gateAndUp.chunk(2, -1);
        return _settings.Activation.Gate(halves[0], halves[1]);
    }
}
