using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;
using Linear = Rlgf.Models.Blocks.Linear;

namespace Rlgf.Models.Families.Decoders;

/// <summary>A gated convolution over few tokens (LFM2): of three maps a, b, c of the state, c · conv(a · b).</summary>
/// <param name="Kernel">How many tokens it looks at, a token's own included.</param>
/// <param name="Bias">Whether its maps and the convolution are shifted.</param>
internal sealed record ShortConvolutionSettings(int Kernel, bool Bias) : MixerSettings
{
    public override IBlockPart Make(DecoderSettings settings, int layer, Device device) => new ShortConvolution(settings, this, layer, device);
}

/// <summary>What <see cref="ShortConvolutionSettings"/> describes.</summary>
internal sealed class ShortConvolution : IBlockPart
{
    private readonly DecoderSettings _settings;
    private readonly int _layer;
    private readonly Linear _input;
    private readonly CausalConvolution _convolution;
    private readonly Linear _output;

    public ShortConvolution(DecoderSettings settings, ShortConvolutionSettings convolution, int layer, Device device)
    {
        (_settings, _layer) = (settings, layer);
        _input = new Linear(settings.Width, 3 * settings.Width, convolution.Bias, device);
        _convolution = new CausalConvolution(settings.Width, convolution.Kernel, convolution.Bias, device);
        _output = new Linear(settings.Width, settings.Width, convolution.Bias, device);
    }

    public IEnumerable<(string Name, nn.Module Module)> Named() => [("conv.in_proj", _input), ("conv.conv", _convolution), ("conv.out_proj", _output)];

    public Tensor Forward(Tensor x, in DecoderPass pass)
    {
        using var scope = NewDisposeScope();
        var parts = _input.Forward(x).view(pass.Rows, pass.Columns, -1).chunk(3, 2);
        var convolved = _convolution.Forward(parts[0] * parts[2], _layer, pass.Attention.States);
        return _output.Forward((parts[1] * convolved).view(x.size(0), -1)).MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        _input.Initialise(_settings.InitialDeviation, random);
        _convolution.Initialise(_settings.InitialDeviation, random);
        _output.Initialise(_settings.ResidualInitialDeviation ?? _settings.InitialDeviation, random);
    }

    public void Dispose() { }
}
