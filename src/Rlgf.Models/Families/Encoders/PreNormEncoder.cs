using Rlgf.Models.Blocks;
using Rlgf.Models.Families.Decoders;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Encoders;

/// <summary>An encoder of a decoder's blocks.</summary>
internal sealed class PreNormEncoder : IEncoderTrunk
{
    private readonly DecoderModule _blocks;
    private readonly Device _device;

    public PreNormEncoder(DecoderSettings settings, Device device)
    {
        (_blocks, _device) = (new DecoderModule(settings, labels: null, device), device);
        Shape = new EncoderShape(settings.Vocabulary, settings.Context, Segments: 0, settings.Layers);
    }

    public EncoderShape Shape { get; }

    public Action<Tensor>? LayerInput
    {
        get => _blocks.LayerInput;
        set => _blocks.LayerInput = value;
    }

    public IEnumerable<(string Name, nn.Module Module)> Named() => _blocks.Named();

    public Tensor States(in EncoderInput input, int? layers)
    {
        using var scope = NewDisposeScope();
        return _blocks.States(input.Ids, null, new BidirectionalAttention(input.Lengths, input.Columns, _device, _blocks.Windows), layers).MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random) => _blocks.Initialise(random);

    public void Dispose() => _blocks.Dispose();
}
