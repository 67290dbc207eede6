using TorchSharp;
using static TorchSharp.torch;
using Linear = Rlgf.Models.Blocks.Linear;

namespace Rlgf.Models.Families.EncoderDecoders;

/// <summary>The head of a classifier on an encoder–decoder: two products with a tanh between them.</summary>
internal sealed class ClassificationHead : nn.Module
{
    private readonly Linear _dense;
    private readonly Linear _labels;

    public ClassificationHead(int width, int labels, Device device) : base(nameof(ClassificationHead))
    {
        _dense = new Linear(width, width, bias: true, device);
        _labels = new Linear(width, labels, bias: true, device);
        register_module("dense", _dense);
        register_module("out_proj", _labels);
    }

    /// <summary>[B, D] → [B, C].</summary>
    public Tensor Forward(Tensor states)
    {
        using var scope = NewDisposeScope();
        return _labels.Forward(_dense.Forward(states).tanh()).MoveToOuterDisposeScope();
    }

    public void Initialise(double deviation, Generator random)
    {
        _dense.Initialise(deviation, random);
        _labels.Initialise(deviation, random);
    }
}
