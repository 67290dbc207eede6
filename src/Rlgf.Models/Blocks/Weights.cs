using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>Making parameters.</summary>
internal static class Weights
{
    [ThreadStatic]
    private static ScalarType? _type;

    /// <summary>A parameter without values yet, float32 outside a <see cref="TypeScope"/>. It belongs to its module, so no dispose scope may take it.</summary>
    public static Parameter Parameter(long[] shape, Device device)
    {
        var parameter = new Parameter(empty(shape, dtype: _type ?? ScalarType.Float32, device: device));
        parameter.DetachFromDisposeScope();
        return parameter;
    }

    /// <summary>Until it is disposed of, this thread's new parameters are of another type: one setting for a whole model, whatever its family.</summary>
    public readonly ref struct TypeScope
    {
        private readonly ScalarType? _outer;

        /// <summary>Begins.</summary>
        public TypeScope(ScalarType type) => (_outer, _type) = (_type, type);

        /// <summary>Ends.</summary>
        public void Dispose() => _type = _outer;
    }
}
