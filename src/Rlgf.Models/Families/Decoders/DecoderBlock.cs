using Rlgf.Models.Blocks;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Decoders;

/// <summary>A part that mixes tokens and a network, each added to the residual stream; norms stand before them, after them, or both.</summary>
internal sealed class DecoderBlock : IDisposable
{
    private readonly DecoderSettings _settings;
    private readonly IBlockPart _mixer;
    private readonly IBlockPart _network;
    private readonly INorm? _mixerNorm;
    private readonly INorm? _mixerOutputNorm;
    private readonly INorm? _networkNorm;
    private readonly INorm? _networkOutputNorm;

    public DecoderBlock(DecoderSettings settings, int layer, Device device)
    {
        _settings = settings;
        var names = settings.Names;
        _mixerNorm = layer == 0 && settings.FirstLayerReadsEmbeddingNorm ? null : Norm(names.AttentionNorm);
        _mixer = settings.MixerOf(layer).Make(settings, layer, device);
        _mixerOutputNorm = Norm(names.AttentionOutputNorm);
        _networkNorm = Norm(names.NetworkNorm);
        _network = settings.NetworkOf(layer).Make(settings, device);
        _networkOutputNorm = Norm(names.NetworkOutputNorm);

        INorm? Norm(string? name) => name is null ? null : settings.Norm(settings.Width, device);
    }

    /// <summary>The parts under the family's names.</summary>
    public IEnumerable<(string Name, nn.Module Module)> Named()
    {
        var names = _settings.Names;
        (string?, INorm?)[] norms = [(names.AttentionNorm, _mixerNorm), (names.AttentionOutputNorm, _mixerOutputNorm), (names.NetworkNorm, _networkNorm), (names.NetworkOutputNorm, _networkOutputNorm)];
        return [.. norms.Where(norm => norm.Item2 is not null).Select(norm => (norm.Item1!, (nn.Module)norm.Item2!)), .. _mixer.Named(), .. _network.Named()];
    }

    /// <summary>[B·T, D] → [B·T, D].</summary>
    public Tensor Forward(Tensor x, in DecoderPass pass)
    {
        using var scope = NewDisposeScope();
        var normed = _mixerNorm is null ? x : _mixerNorm.Forward(x);
        var mixed = FusedOperations.Sum(x, Added(_mixer.Forward(normed, pass), _mixerOutputNorm));
        var read = _networkNorm is not null ? _networkNorm.Forward(_settings.ParallelResidual ? x : mixed) : _settings.ParallelResidual ? normed : mixed;
        return FusedOperations.Sum(mixed, Added(_network.Forward(read, pass), _networkOutputNorm)).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        _mixer.Dispose();
        _network.Dispose();
    }

    public void Initialise(Generator random)
    {
        _mixerNorm?.Initialise();
        _mixer.Initialise(random);
        _mixerOutputNorm?.Initialise();
        _networkNorm?.Initialise();
        _network.Initialise(random);
        _networkOutputNorm?.Initialise();
    }

    private Tensor Added(Tensor part, INorm? norm)
    {
        if (norm is not null) part = norm.Forward(part);
        return _settings.ResidualScale == 1 ? part : part.Multiply(_settings.ResidualScale);
    }
}
