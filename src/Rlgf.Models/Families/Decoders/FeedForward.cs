using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Decoders;

/// <summary>The two-layer network of a block, plain or gated.</summary>
internal sealed class FeedForward
{
    private readonly DecoderSettings _settings;
    private readonly IProjection[] _inner;
    private readonly IProjection _down;

    public FeedForward(DecoderSettings settings, Device device)
    {
        _settings = settings;
        var outputs = settings.NetworkLayout == NetworkLayout.FusedGated ? 2 * settings.Inner : settings.Inner;
        var maps = settings.NetworkLayout == NetworkLayout.Gated ? 2 : 1;
        _inner = [.. Enumerable.Range(0, maps).Select(_ => settings.Projection(settings.Width, outputs, settings.NetworkBias, device))];
        _down = settings.Projection(settings.Inner, settings.Width, settings.NetworkBias, device);
    }

    /// <summary>The parts under the family's names.</summary>
    public IEnumerable<(string Name, nn.Module Module)> Named() => _settings.Names.Network.Zip([.. _inner, _down], (name, projection) => (name, (nn.Module)projection));

    /// <summary>[B·T, D] → [B·T, D].</summary>
    public Tensor Forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var inner = _inner[0].Forward(x);
        switch (_settings.NetworkLayout)
        {
            case NetworkLayout.Plain:
                inner = _settings.Activation(inner);
                break;
            case NetworkLayout.Gated:
                inner = _settings.Activation(inner) * _inner[1].Forward(x);
                break;
            case NetworkLayout.FusedGated:
                var halves = inner.chunk(2, -1);
                inner = _settings.Activation(halves[0]) * halves[1];
                break;
        }

        return _down.Forward(inner).MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        foreach (var projection in _inner) projection.Initialise(_settings.InitialDeviation, random);
        _down.Initialise(_settings.ResidualInitialDeviation ?? _settings.InitialDeviation, random);
    }
}
