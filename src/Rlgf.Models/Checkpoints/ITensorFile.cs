using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>A tensor in a file.</summary>
/// <param name="Type">Type of the stored numbers.</param>
/// <param name="Shape">Its shape; empty for a single number.</param>
public sealed record StoredTensor(ScalarType Type, IReadOnlyList<long> Shape)
{
    /// <summary>How many numbers it has.</summary>
    public long Elements => Shape.Aggregate(1L, (product, length) => product * length);
}

/// <summary>A file of named tensors. Opening it reads where they are and checks that; their numbers are read when they are asked for.</summary>
public interface ITensorFile : IDisposable
{
    /// <summary>The file.</summary>
    string Path { get; }

    /// <summary>The tensors by name.</summary>
    IReadOnlyDictionary<string, StoredTensor> Entries { get; }

    /// <summary>Copies a tensor's numbers into one of the same shape, of any type and on any device. Beside the destination only a small piece is in memory.</summary>
    /// <exception cref="InputException">There is no such tensor, or its shape is another.</exception>
    void CopyTo(string name, Tensor destination);

    /// <summary>Copies some of a tensor's rows, where they lie one after the other in the file.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="first">The first row.</param>
    /// <param name="destination">As many rows are copied as it has, of the tensor's other lengths.</param>
    /// <returns>Whether they were: false where the file gives whole tensors only.</returns>
    bool CopyRowsTo(string name, long first, Tensor destination) => false;
}

/// <summary>What all files of tensors can do.</summary>
public static class TensorFiles
{
    /// <summary>Reads a tensor in its stored type, onto the CPU.</summary>
    public static Tensor Read(this ITensorFile file, string name) => Read(file, name, CPU);

    /// <summary>Reads a tensor in its stored type.</summary>
    /// <param name="file">The file.</param>
    /// <param name="name">The tensor's name.</param>
    /// <param name="device">Where to.</param>
    public static Tensor Read(this ITensorFile file, string name, Device device)
    {
        ArgumentNullException.ThrowIfNull(file);
        var entry = file.Entry(name);
        var tensor = empty([.. entry.Shape], dtype: entry.Type, device: device);
        file.CopyTo(name, tensor);
        return tensor;
    }

    /// <summary>The entry of a tensor that must be there.</summary>
    internal static StoredTensor Entry(this ITensorFile file, string name) =>
        file.Entries.TryGetValue(name, out var entry) ? entry : throw new InputException($"{file.Path}: it has no tensor '{name}'; copy or download the file again.");

    /// <summary>Makes sure that a tensor has the shape of where its numbers go: the library would stretch them to fit.</summary>
    internal static void RequireShape(this ITensorFile file, string name, Tensor destination)
    {
        var shape = file.Entry(name).Shape;
        if (!shape.SequenceEqual(destination.shape))
            throw new InputException($"{file.Path}: '{name}' has the shape {Shapes.Format(shape)} where {Shapes.Format(destination.shape)} is expected; copy or download the file again.");
    }
}
