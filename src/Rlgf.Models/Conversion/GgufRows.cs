using System.Buffers;
using System.Runtime.InteropServices;
using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Conversion;

/// <summary>Numbers of weights in the order in which a GGUF file has them, and back.</summary>
internal static class GgufRows
{
    /// <summary>Numbers in memory at once: 4 MB as float32.</summary>
    private const long Piece = 1 << 20;

    /// <summary>A weight's numbers in the file's order, in pieces of whole rows.</summary>
    /// <param name="weight">Gives the weight as Hugging Face has it, of any type; disposed of when all is read.</param>
    /// <param name="part">Gives some of its rows instead: the first and how many; null, or giving null, where it is read whole.</param>
    /// <param name="shape">The weight's.</param>
    /// <param name="layout">How the file has it.</param>
    /// <param name="heads">Heads that its rows belong to.</param>
    /// <param name="factor">What each number is multiplied by.</param>
    public static IEnumerable<ReadOnlyMemory<float>> InFile(Func<Tensor> weight, Func<long, long, Tensor?>? part, IReadOnlyList<long> shape, GgufLayout layout, int heads, double factor = 1)
    {
        // What keeps its order is read row by row, so that not even one tensor is whole in memory.
        var isPart = layout is GgufLayout.Same or GgufLayout.FromOne && shape.Count > 1 && part?.Invoke(0, 1) is { } probe && Dispose(probe);
        using var whole = isPart ? null : weight();
        using var turned = layout == GgufLayout.Transposed ? whole!.t() : whole?.alias();
        using var order = Order(layout, heads, shape[0]);
        // A vector is one row.
        var rows = turned is null ? shape[0] : order is not null || turned.dim() > 1 ? turned.shape[0] : 1;
        var rowLength = Shapes.Elements(shape)!.Value / rows;
        var atOnce = Math.Clamp(Piece / rowLength, 1, rows);
        // Of a pool: an array of this size for every tensor would stay in memory until it is collected.
        var numbers = ArrayPool<float>.Shared.Rent((int)(atOnce * rowLength));
        try
        {
            for (long first = 0; first < rows; first += atOnce)
            {
                var count = Math.Min(atOnce, rows - first);
                var piece = numbers.AsMemory(0, (int)(count * rowLength));
                if (turned is not null) Copy(turned, order, rows == 1, first, count, piece.Span);
                else
                {
                    using var some = part!(first, count)!;
                    Copy(some, null, isOneRow: false, 0, count, piece.Span);
                }

                if (layout == GgufLayout.FromOne || factor != 1) Change(piece.Span, layout == GgufLayout.FromOne ? 1 : 0, (float)factor);
                yield return piece;
            }
        }
        finally
        {
            ArrayPool<float>.Shared.Return(numbers);
        }
    }

    /// <summary>A weight as Hugging Face has it, from a tensor of a file. Belongs to the caller's scope.</summary>
    /// <param name="file">The file.</param>
    /// <param name="name">The tensor.</param>
    /// <param name="layout">How the file has it.</param>
    /// <param name="heads">Heads that its rows belong to.</param>
    /// <returns>float32.</returns>
    public static Tensor FromFile(GgufFile file, string name, GgufLayout layout, int heads)
    {
        var stored = empty([.. file.Tensors[name].Shape], dtype: ScalarType.Float32, device: CPU);
        Checkpoints.GgufTensors.Copy(file, name, stored);
        if (layout == GgufLayout.Transposed) return stored.t();
        if (layout == GgufLayout.FromOne) return stored.Subtract(1);
        if (Order(layout, heads, stored.shape[0]) is not { } order) return stored;
        var back = empty_like(stored);
        back.index_copy_(0, order, stored);
        return back;
    }

    private static void Copy(Tensor turned, Tensor? order, bool isOneRow, long first, long count, Span<float> numbers)
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var rows = isOneRow ? turned : order is null ? turned.narrow(0, first, count) : turned.index_select(0, order.narrow(0, first, count));
        MemoryMarshal.Cast<byte, float>(rows.to_type(ScalarType.Float32).cpu().contiguous().bytes).CopyTo(numbers);
    }

    private static bool Dispose(Tensor probe)
    {
        probe.Dispose();
        return true;
    }

    private static void Change(Span<float> numbers, float added, float factor)
    {
        foreach (ref var number in numbers) number = (number + added) * factor;
    }

    /// <summary>Which row of Hugging Face's each of the file's is; null where they stand in the same order.</summary>
    private static Tensor? Order(GgufLayout layout, int heads, long rows)
    {
        if (layout is not (GgufLayout.QueryPairs or GgufLayout.KeyPairs or GgufLayout.FusedByHead)) return null;
        using var scope = NewDisposeScope();
        var places = TensorNumbers.Range(rows, CPU);
        // (half, pair) becomes (pair, half); for each head its query, key and value become all queries, all keys, all values.
        return (layout == GgufLayout.FusedByHead ? places.view(heads, 3, -1).transpose(0, 1) : places.view(heads, 2, -1).transpose(1, 2)).reshape(-1).MoveToOuterDisposeScope();
    }
}
