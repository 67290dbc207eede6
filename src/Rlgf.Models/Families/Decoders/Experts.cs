using Rlgf.Models.Blocks;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using Linear = Rlgf.Models.Blocks.Linear;

namespace Rlgf.Models.Families.Decoders;

/// <summary>A mixture of experts (Shazeer et al. 2017): a router gives each token to the few gated networks that it rates highest, and what they make of it is added up by their shares.</summary>
internal sealed record ExpertsSettings : NetworkSettings
{
    /// <summary>Number of experts.</summary>
    public required int Experts { get; init; }

    /// <summary>How many of them a token is given to.</summary>
    public required int Used { get; init; }

    /// <summary>Width inside an expert.</summary>
    public required int Inner { get; init; }

    /// <summary>Activation of an expert's gate.</summary>
    public required Activation Activation { get; init; }

    /// <summary>Whether the shares of those that are used are made to add up to 1.</summary>
    public required bool Normalised { get; init; }

    /// <summary>The router's name, within the layer.</summary>
    public required string Router { get; init; }

    /// <summary>Where the experts are, within the layer; an expert's number follows.</summary>
    public required string Level { get; init; }

    /// <summary>An expert's maps: gate, up and down.</summary>
    public required string[] Maps { get; init; }

    public override IBlockPart Make(DecoderSettings settings, Device device) => new Experts(settings, this, device);
}

/// <summary>What <see cref="ExpertsSettings"/> describes.</summary>
internal sealed class Experts : IBlockPart
{
    private readonly DecoderSettings _settings;
    private readonly ExpertsSettings _mixture;
    private readonly Linear _router;
    private readonly Linear[][] _experts;

    public Experts(DecoderSettings settings, ExpertsSettings mixture, Device device)
    {
        (_settings, _mixture) = (settings, mixture);
        _router = new Linear(settings.Width, mixture.Experts, bias: false, device);
        _experts = [.. Enumerable.Range(0, mixture.Experts).Select(_ => (Linear[])[Wide(), Wide(), new Linear(mixture.Inner, settings.Width, bias: false, device)])];

        Linear Wide() => new(settings.Width, mixture.Inner, bias: false, device);
    }

    public IEnumerable<(string Name, nn.Module Module)> Named() =>
        [(_mixture.Router, _router), .. _experts.SelectMany((maps, expert) => maps.Select((map, place) => ($"{_mixture.Level}.{expert}.{_mixture.Maps[place]}", (nn.Module)map)))];

    public Tensor Forward(Tensor x, in DecoderPass pass)
    {
        using var scope = NewDisposeScope();
        var (shares, chosen) = nn.functional.softmax(_router.Forward(x).to_type(ScalarType.Float32), 1).topk(_mixture.Used, 1);
        if (_mixture.Normalised) shares = shares / shares.sum([1], keepdim: true);
        var choices = chosen.cpu().contiguous().data<long>().ToArray();
        var sum = zeros_like(x);
        for (var expert = 0; expert < _experts.Length; expert++)
        {
            // Which tokens it gets, and with which of their shares.
            long[] flat = [.. Enumerable.Range(0, choices.Length).Where(place => choices[place] == expert).Select(place => (long)place)];
            if (flat.Length == 0) continue;
            var tokens = tensor(Array.ConvertAll(flat, place => place / _mixture.Used), device: x.device);
            var maps = _experts[expert];
            var read = x.index_select(0, tokens);
            var made = maps[2].Forward(_mixture.Activation.Gate(maps[0].Forward(read), maps[1].Forward(read)));
            var share = shares.flatten().index_select(0, tensor(flat, device: x.device)).unsqueeze(1).to_type(made.dtype);
            sum = sum.IndexAdd(0, tokens, made * share);
        }

        return sum.MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        _router.Initialise(_settings.InitialDeviation, random);
        foreach (var map in _experts.SelectMany(maps => maps)) map.Initialise(_settings.InitialDeviation, random);
    }

    public void Dispose() { }
}
