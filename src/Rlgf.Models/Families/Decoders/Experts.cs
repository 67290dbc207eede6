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

    /// <summary>Whether the router's ratings are shifted.</summary>
    public bool RouterBias { get; init; }

    /// <summary>How files hold the experts.</summary>
    public ExpertsLayout Layout { get; init; }

    /// <summary>Where the experts are, within the layer; where each has matrices of its own, an expert's number follows.</summary>
    public required string Level { get; init; }

    /// <summary>An expert's maps: gate, up and down; where all experts are in one tensor, gate and up, then down.</summary>
    public required string[] Maps { get; init; }

    public override IBlockPart Make(DecoderSettings settings, Device device) => new Experts(settings, this, device);
}

/// <summary>How files hold experts.</summary>
internal enum ExpertsLayout
{
    /// <summary>Three matrices for each, [out, in].</summary>
    Separate,

    /// <summary>Two tensors for all, [experts, in, out], each with shifts beside it; in the first, columns of gate and up take turns.</summary>
    Stacked,
}

/// <summary>What <see cref="ExpertsSettings"/> describes.</summary>
internal sealed class Experts : IBlockPart
{
    private readonly DecoderSettings _settings;
    private readonly ExpertsSettings _mixture;
    private readonly Linear _router;
    private readonly IExpertMaps _experts;

    public Experts(DecoderSettings settings, ExpertsSettings mixture, Device device)
    {
        (_settings, _mixture) = (settings, mixture);
        _router = new Linear(settings.Width, mixture.Experts, mixture.RouterBias, device);
        _experts = mixture.Layout == ExpertsLayout.Stacked ? new StackedExpertMaps(settings.Width, mixture, device) : new SeparateExpertMaps(settings.Width, mixture, device);
    }

    public IEnumerable<(string Name, nn.Module Module)> Named() => [(_mixture.Router, _router), .. _experts.Named()];

    public Tensor Forward(Tensor x, in DecoderPass pass)
    {
        using var scope = NewDisposeScope();
        // That the shares of the chosen add up to 1 is the same as a softmax over their ratings alone.
        var (shares, chosen) = nn.functional.softmax(_router.Forward(x).to_type(ScalarType.Float32), 1).topk(_mixture.Used, 1);
        if (_mixture.Normalised) shares = shares / shares.sum([1], keepdim: true);
        var choices = chosen.cpu().contiguous().data<long>().ToArray();
        var sum = zeros_like(x);
        var made = _experts.Begin();
        for (var expert = 0; expert < _mixture.Experts; expert++)
        {
            // Which tokens it gets, and with which of their shares.
            long[] flat = [.. Enumerable.Range(0, choices.Length).Where(place => choices[place] == expert).Select(place => (long)place)];
            if (flat.Length == 0) continue;
            var tokens = tensor(Array.ConvertAll(flat, place => place / _mixture.Used), device: x.device);
            var added = made(expert, x.index_select(0, tokens));
            var share = shares.flatten().index_select(0, tensor(flat, device: x.device)).unsqueeze(1).to_type(added.dtype);
            sum = sum.IndexAdd(0, tokens, added * share);
        }

        return sum.MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        _router.Initialise(_settings.InitialDeviation, random);
        _experts.Initialise(_settings.InitialDeviation, random);
    }

    public void Dispose() { }
}

/// <summary>The gated networks of a mixture.</summary>
internal interface IExpertMaps
{
    /// <summary>The parts under the family's names, within the layer.</summary>
    IEnumerable<(string Name, nn.Module Module)> Named();

    /// <summary>Begins a pass: what an expert, by its number, makes of the states [n, D] that it is given, [n, D].</summary>
    Func<int, Tensor, Tensor> Begin();

    /// <summary>Weights from N(0, deviation²), shifts zero.</summary>
    void Initialise(double deviation, Generator random);
}

/// <summary>Matrices for each expert.</summary>
internal sealed class SeparateExpertMaps : IExpertMaps
{
    private readonly ExpertsSettings _mixture;
    private readonly Linear[][] _maps;

    public SeparateExpertMaps(int width, ExpertsSettings mixture, Device device)
    {
        _mixture = mixture;
        _maps = [.. Enumerable.Range(0, mixture.Experts).Select(_ => (Linear[])[Wide(), Wide(), new Linear(mixture.Inner, width, bias: false, device)])];

        Linear Wide() => new(width, mixture.Inner, bias: false, device);
    }

    public IEnumerable<(string Name, nn.Module Module)> Named() =>
        _maps.SelectMany((maps, expert) => maps.Select((map, place) => ($"{_mixture.Level}.{expert}.{_mixture.Maps[place]}", (nn.Module)map)));

    public Func<int, Tensor, Tensor> Begin() => (expert, x) =>
    {
        var maps = _maps[expert];
        return maps[2].Forward(_mixture.Activation.Gate(maps[0].Forward(x), maps[1].Forward(x)));
    };

    public void Initialise(double deviation, Generator random)
    {
        foreach (var map in _maps.SelectMany(maps => maps)) map.Initialise(deviation, random);
    }
}

/// <summary>All experts in one tensor for each map.</summary>
internal sealed class StackedExpertMaps : IExpertMaps
{
    private readonly ExpertsSettings _mixture;

    /// <summary>Gate and up, their shifts, down, its shifts.</summary>
    private readonly BareParameter[] _tensors;

    public StackedExpertMaps(int width, ExpertsSettings mixture, Device device)
    {
        _mixture = mixture;
        long[][] shapes = [[mixture.Experts, width, 2 * mixture.Inner], [mixture.Experts, 2 * mixture.Inner], [mixture.Experts, mixture.Inner, width], [mixture.Experts, width]];
        _tensors = [.. shapes.Select(shape => new BareParameter(shape, device))];
    }

    public IEnumerable<(string Name, nn.Module Module)> Named()
    {
        var names = _mixture.Maps.SelectMany(map => (string[])[map, $"{map}_bias"]);
        return names.Zip(_tensors, (name, values) => ($"{_mixture.Level}.{name}", (nn.Module)values));
    }

    public Func<int, Tensor, Tensor> Begin()
    {
        // Taken apart once: the gradient of each part alone would be as large as the whole.
        var parts = Array.ConvertAll(_tensors, values => values.Value.unbind(0));
        return (expert, x) =>
        {
            var turns = x.matmul(parts[0][expert]).Add(parts[1][expert]).unflatten(1, _mixture.Inner, 2).unbind(2);
            return _mixture.Activation.Gate(turns[0], turns[1]).matmul(parts[2][expert]).Add(parts[3][expert]);
        };
    }

    public void Initialise(double deviation, Generator random)
    {
        using var gradients = no_grad();
        for (var i = 0; i < _tensors.Length; i++)
        {
            if (i % 2 == 0) _tensors[i].Value.normal_(0, deviation, random);
            else _tensors[i].Value.Fill(0);
        }
    }
}
