using Rlgf.Models.Blocks;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Attention and a two-layer network, each on normalised input and added to the residual stream.</summary>
internal sealed class DecoderBlock : IDisposable
{
    private readonly DecoderSettings _settings;
    private readonly INorm _attentionNorm;
    private readonly SelfAttention _attention;
    private readonly INorm? _networkNorm;
    private readonly FeedForward _network;

    public DecoderBlock(DecoderSettings settings, int layer, Device device)
    {
        _settings = settings;
        _attentionNorm = settings.Norm(settings.Width, device);
        _attention = new SelfAttention(settings, layer, device);
        if (settings.Names.NetworkNorm is not null) _networkNorm = settings.Norm(settings.Width, device);
        _network = new FeedForward(settings, device);
    }

    /// <summary>The parts under the family's names.</summary>
    public IEnumerable<(string Name, nn.Module Module)> Named()
    {
        var names = _settings.Names;
        yield return (names.AttentionNorm, (nn.Module)_attentionNorm);
        foreach (var (name, module) in _attention.Named()) yield return ($"{names.Attention}.{name}", module);
        if (names.NetworkNorm is not null) yield return (names.NetworkNorm, (nn.Module)_networkNorm!);
        foreach (var named in _network.Named()) yield return named;
    }

    /// <summary>[B·T, D] → [B·T, D].</summary>
    public Tensor Forward(Tensor x, in DecoderPass pass)
    {
        using var scope = NewDisposeScope();
        var normed = _attentionNorm.Forward(x);
        var attended = FusedOperations.Sum(x, _attention.Forward(normed, pass));
        var read = _networkNorm is null ? normed : _networkNorm.Forward(_settings.ParallelResidual ? x : attended);
        return FusedOperations.Sum(attended, _network.Forward(read)).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        _attention.Dispose();
        _network.Dispose();
    }

    public void Initialise(Generator random)
    {
        _attentionNorm.Initialise();
        _attention.Initialise(random);
        _networkNorm?.Initialise();
        _network.Initialise(random);
    }
}
