using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// What the decoder of an encoder–decoder sees of the prompts: for each of its layers keys and values of the encoder's states. They are there once for each different prompt, and all rows that have it
/// ask them together, as more queries of one product: samples of a prompt and beams cost no memory here.
/// </summary>
internal sealed class CrossAttention : IDisposable
{
    private readonly (Tensor Keys, Tensor Values)[] _layers;
    private readonly IReadOnlyList<int> _lengths;
    private Tensor _mask;
    private int[] _promptOf;
    private Seats _seats;
    private bool _isOwned;

    /// <summary>Takes keys and values, which like the mask belong to the caller's scope.</summary>
    /// <param name="layers">For each layer keys and values [U, H, P, D/H] of U prompts, padded on the right.</param>
    /// <param name="lengths">The U prompts' numbers of tokens.</param>
    /// <param name="promptOf">For each of the B rows, its prompt.</param>
    public CrossAttention(IReadOnlyList<(Tensor Keys, Tensor Values)> layers, IReadOnlyList<int> lengths, int[] promptOf)
    {
        (_layers, _lengths) = ([.. layers], lengths);
        _mask = BidirectionalAttention.PaddingMask(lengths, (int)layers[0].Keys.size(2), layers[0].Keys.device);
        _promptOf = promptOf;
        _seats = Seats.Of(promptOf, lengths.Count);
    }

    /// <summary>All layers' keys and values, which are differentiable in training: keys and values of the first, of the second and so on.</summary>
    public IReadOnlyList<Tensor> KeysAndValues => [.. _layers.SelectMany(layer => (Tensor[])[layer.Keys, layer.Values])];

    /// <summary>The same with other keys and values, as <see cref="KeysAndValues"/>; what else it needs is its own and belongs to the caller's scope. Not once <see cref="Select"/> was called.</summary>
    public CrossAttention With(IEnumerable<Tensor> keysAndValues) => new([.. keysAndValues.Chunk(2).Select(pair => (pair[0], pair[1]))], _lengths, _promptOf);

    /// <summary>U: number of prompts that are kept.</summary>
    public int Prompts => (int)_mask.size(0);

    /// <summary>Keeps the tensors, in float32, until <see cref="Dispose"/>, whatever happens to the caller's scope: for decoding.</summary>
    public void Own()
    {
        _isOwned = true;
        _mask.DetachFromDisposeScope();
        for (var layer = 0; layer < _layers.Length; layer++)
        {
            var (keys, values) = _layers[layer];
            _layers[layer] = (keys.to_type(ScalarType.Float32).DetachFromDisposeScope(), values.to_type(ScalarType.Float32).DetachFromDisposeScope());
        }
    }

    /// <summary>Attends from the rows' tokens to their prompts, scores divided by √(head size).</summary>
    /// <param name="layer">Number of the decoder's layer, from 0.</param>
    /// <param name="query">[B, H, T, D/H] of the model's type, any strides.</param>
    /// <returns>[B, H, T, D/H] of the same type.</returns>
    public Tensor Attend(int layer, Tensor query)
    {
        using var scope = NewDisposeScope();
        var (keys, values) = _layers[layer];
        long rows = query.size(0), heads = query.size(1), columns = query.size(2), size = query.size(3);

        // Rows of one prompt side by side, [U, seats · T] queries; a prompt with fewer rows than the others has seats that nobody reads.
        var seated = query.transpose(1, 2);
        if (!_seats.AreInOrder) seated = seated.index_select(0, tensor(_seats.RowOfSeat, device: query.device));
        seated = seated.reshape(Prompts, -1, heads, size).transpose(1, 2).to_type(keys.dtype);
        var attended = columns == 1 && _isOwned ? ScaledDotProduct.AttendFromOne(seated, keys, values, _mask) : ScaledDotProduct.Attend(seated, keys, values, _mask);
        attended = attended.transpose(1, 2).reshape(-1, columns, heads, size);
        if (!_seats.AreInOrder) attended = attended.index_select(0, tensor(_seats.SeatOfRow, device: query.device));
        return attended.view(rows, columns, heads, size).transpose(1, 2).to_type(query.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Keeps the given rows in the given order, and of the prompts those that a row still has.</summary>
    public void Select(ReadOnlySpan<int> rows)
    {
        var promptOf = new int[rows.Length];
        for (var b = 0; b < rows.Length; b++) promptOf[b] = _promptOf[rows[b]];
        var kept = promptOf.Distinct().Order().ToArray();
        if (kept.Length < Prompts)
        {
            using var scope = NewDisposeScope();
            var prompts = tensor(Array.ConvertAll(kept, prompt => (long)prompt), device: _mask.device);
            Replace(ref _mask, prompts);
            for (var layer = 0; layer < _layers.Length; layer++)
            {
                Replace(ref _layers[layer].Keys, prompts);
                Replace(ref _layers[layer].Values, prompts);
            }

            promptOf = Array.ConvertAll(promptOf, prompt => Array.BinarySearch(kept, prompt));
        }

        _promptOf = promptOf;
        _seats = Seats.Of(promptOf, kept.Length);
    }

    public void Dispose()
    {
        _mask.Dispose();
        foreach (var (keys, values) in _layers)
        {
            keys.Dispose();
            values.Dispose();
        }
    }

    private static void Replace(ref Tensor tensor, Tensor prompts)
    {
        var selected = tensor.index_select(0, prompts).DetachFromDisposeScope();
        tensor.Dispose();
        tensor = selected;
    }

    /// <summary>Where the rows of each prompt sit: every prompt has as many seats as the one with the most rows.</summary>
    /// <param name="RowOfSeat">For each of the U · n seats, the row on it; an empty one has row 0.</param>
    /// <param name="SeatOfRow">For each row, its seat.</param>
    /// <param name="AreInOrder">Whether row b sits on seat b and no seat is empty.</param>
    private readonly record struct Seats(long[] RowOfSeat, long[] SeatOfRow, bool AreInOrder)
    {
        public static Seats Of(int[] promptOf, int prompts)
        {
            var counts = new int[prompts];
            foreach (var prompt in promptOf) counts[prompt]++;
            var each = counts.Max();
            var rowOfSeat = new long[prompts * each];
            var seatOfRow = new long[promptOf.Length];
            Array.Clear(counts);
            var inOrder = rowOfSeat.Length == promptOf.Length;
            for (var b = 0; b < promptOf.Length; b++)
            {
                var seat = promptOf[b] * each + counts[promptOf[b]]++;
                rowOfSeat[seat] = b;
                seatOfRow[b] = seat;
                inOrder &= seat == b;
            }

            return new Seats(rowOfSeat, seatOfRow, inOrder);
        }
    }
}
