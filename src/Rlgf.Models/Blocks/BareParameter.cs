using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>A parameter that has a name of its own in a checkpoint, without ".weight": it is registered in place of this.</summary>
internal sealed class BareParameter : nn.Module
{
    public BareParameter(long[] shape, Device device) : base(nameof(BareParameter)) => Value = Weights.Parameter(shape, device);

    /// <summary>The parameter.</summary>
    public Parameter Value { get; }
}
