using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// Every token sees all tokens of its row, or those of a window with itself in the middle, and no padding. Rows are padded on the right; what stands in a column of padding is finite and means nothing.
/// </summary>
internal sealed class BidirectionalAttention : IAttention
{
    private readonly IReadOnlyList<int> _lengths;
    private readonly int _columns;
    private readonly Device _device;
    private readonly (int? Window, Tensor Mask)[] _masks;

    /// <summary>Prepares the masks, which belong to the caller's scope.</summary>
    /// <param name="lengths">Number of tokens of each of the B rows, at least 1.</param>
    /// <param name="columns">T.</param>
    /// <param name="device">Where.</param>
    /// <param name="windows">The windows that layers ask with, null for none; null for no window in any layer.</param>
    public BidirectionalAttention(IReadOnlyList<int> lengths, int columns, Device device, IReadOnlyList<int?>? windows = null)
    {
        (_lengths, _columns, _device) = (lengths, columns, device);
        var padding = PaddingMask(lengths, columns, device);
        _masks = [.. (windows ?? [null]).Select(window => (window, window is { } seen && seen / 2 < columns - 1 ? WindowMask(padding, columns, seen / 2, device) : padding))];
    }

    public int PastColumns => 0;

    public IAttention Anew() => new BidirectionalAttention(_lengths, _columns, _device, [.. _masks.Select(mask => mask.Window)]);

    public int Longest => _lengths.Max();

    public Tensor Attend(int layer, Tensor query, Tensor key, Tensor value, in Scores scores = default) => ScaledDotProduct.Attend(query, key, value, Mask(scores.Window), scores);

    public Tensor KeyPositions(int columns) => TensorNumbers.Range(columns, _device).to_type(ScalarType.Float32).view(1, 1, 1, -1);

    /// <summary>[B, 1, 1, T] float32 to be added to scores: −∞ from each row's length on, 0 before. Belongs to the caller's scope.</summary>
    public static Tensor PaddingMask(IReadOnlyList<int> lengths, int columns, Device device)
    {
        var mask = new float[lengths.Count * columns];
        for (var row = 0; row < lengths.Count; row++) mask.AsSpan(row * columns + lengths[row], columns - lengths[row]).Fill(float.NegativeInfinity);
        return tensor(mask, [lengths.Count, 1, 1, columns], device: device);
    }

    /// <summary>[B, 1, T, T] float32: −∞ for padding and for tokens that are more than so many columns away, on either side. Belongs to the caller's scope.</summary>
    private static Tensor WindowMask(Tensor padding, int columns, int reach, Device device)
    {
        using var scope = NewDisposeScope();
        var full = TensorNumbers.Filled([columns, columns], float.NegativeInfinity, device);
        var mask = padding.Add(full.triu(reach + 1)).AddInPlace(full.tril(-reach - 1));
        // Padding far behind a row's end would see nothing at all, and what it then is would be no number.
        mask.diagonal(0, 2, 3).Fill(0);
        return mask.MoveToOuterDisposeScope();
    }

    private Tensor Mask(int? window)
    {
        foreach (var (of, mask) in _masks)
        {
            if (of == window) return mask;
        }

        throw new InvalidOperationException($"A layer asks with a window of {window}, of which nothing was said.");
    }
}
