using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// Keys and values of all tokens read so far, for each layer that attends [B, K, C, D/H] float32 with room for C columns, more being made when they are full: heads that share keys share them here too.
/// Rows are padded on the left, so all write the same column at each step.
/// </summary>
internal sealed class KeyValueCache : IAttention, IDisposable
{
    /// <summary>Room for at least so many columns is made at once: each time, what is there is copied.</summary>
    private const int LeastGrowth = 256;

    private readonly Tensor?[] _keys;
    private readonly Tensor?[] _values;
    private readonly Device _device;
    private readonly List<(int? Window, Tensor? Mask)> _masks = [];
    private int[] _padding;
    private int _capacity;
    private Tensor? _columnMask;
    private int _columns;
    private int _reading;

    /// <summary>Makes an empty cache; a layer's room is made when it first attends.</summary>
    /// <param name="layers">L.</param>
    /// <param name="capacity">C: columns that there is room for at first.</param>
    /// <param name="padding">For each of the B rows, how many columns on its left are padding.</param>
    /// <param name="device">Where.</param>
    public KeyValueCache(int layers, int capacity, int[] padding, Device device)
    {
        _padding = padding;
        _capacity = capacity;
        _device = device;
        _keys = new Tensor?[layers];
        _values = new Tensor?[layers];
        _columnMask = ColumnMask();
    }

    public IAttention Anew() => throw new InvalidOperationException("Nothing is learned from a cache.");

    public int PastColumns => _columns;

    public RecurrentStates States { get; } = new();

    RecurrentStates? IAttention.States => States;

    /// <summary>All columns: a row that was longer than those that are left has left its columns.</summary>
    public int Longest => _columns + _reading;

    /// <summary>Says how many columns the next pass through the layers reads.</summary>
    public void Begin(int columns)
    {
        if (_columns + columns > _capacity) Grow(columns);
        _reading = columns;
        if (columns > 1 && _columnMask is not null) States.Real = Own(tensor(Real(columns), [_padding.Length, columns, 1], device: _device));
    }

    /// <summary>Ends a pass: what it wrote now counts.</summary>
    public void End()
    {
        _columns += _reading;
        _reading = 0;
        DropMasks();
        States.Real?.Dispose();
        States.Real = null;
    }

    public Tensor Attend(int layer, Tensor query, Tensor key, Tensor value, in Scores scores = default)
    {
        var keys = Write(ref _keys[layer], key);
        var values = Write(ref _values[layer], value);
        var mask = Mask(scores.Window);
        if (_reading > 1) return ScaledDotProduct.Attend(query, key, value, mask, scores);

        using var scope = NewDisposeScope();
        if (scores.Bias is { } bias) mask = mask is null ? Seen(bias, 3, scores.Window).to_type(ScalarType.Float32) : Seen(bias, 3, scores.Window).Add(mask);
        return ScaledDotProduct.AttendFromOne(query, Seen(keys, 2, scores.Window), Seen(values, 2, scores.Window), mask, scores).MoveToOuterDisposeScope();
    }

    public Tensor KeyPositions(int columns)
    {
        using var scope = NewDisposeScope();
        var all = TensorNumbers.Range(_columns + columns, _device).view(1, 1, 1, -1);
        var padding = tensor(Array.ConvertAll(_padding, count => -(long)count), [_padding.Length, 1, 1, 1], device: _device);
        return all.Add(padding).ClampMin(0L).to_type(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>Keeps the given rows in the given order.</summary>
    /// <param name="rows">B' of its rows.</param>
    /// <param name="index">The same as [B'] int64 on the cache's device.</param>
    public void Select(ReadOnlySpan<int> rows, Tensor index)
    {
        var padding = _padding;
        _padding = new int[rows.Length];
        for (var row = 0; row < rows.Length; row++) _padding[row] = padding[rows[row]];
        for (var layer = 0; layer < _keys.Length; layer++)
        {
            Replace(ref _keys[layer], index);
            Replace(ref _values[layer], index);
        }

        Replace(ref _columnMask, index);
        States.Select(index);
    }

    /// <summary>Takes copies of another cache's rows behind its own: all end in the same column, and columns that are padding in every row are left out.</summary>
    /// <param name="other">A cache of the same attention, between two passes as this one is.</param>
    public void Join(KeyValueCache other)
    {
        using var gradients = no_grad();
        int[] lengths = [.. Lengths, .. other.Lengths];
        var columns = lengths.Max();
        var capacity = columns + LeastGrowth;
        foreach (var (mine, theirs) in new[] { (_keys, other._keys), (_values, other._values) })
        {
            for (var layer = 0; layer < mine.Length; layer++)
            {
                if (mine[layer] is not { } old || theirs[layer] is not { } taken) continue;
                var joined = Room(lengths.Length, capacity, old);
                CopyEnd(this, old, joined, 0, columns);
                CopyEnd(other, taken, joined, _padding.Length, columns);
                old.Dispose();
                mine[layer] = joined;
            }
        }

        States.Join(other.States);
        (_columns, _capacity, _padding) = (columns, capacity, [.. lengths.Select(length => columns - length)]);
        RenewColumnMask();
    }

    public void Dispose()
    {
        foreach (var tensor in _keys) tensor?.Dispose();
        foreach (var tensor in _values) tensor?.Dispose();
        _columnMask?.Dispose();
        DropMasks();
        States.Dispose();
    }

    /// <summary>How many columns each row has that are no padding.</summary>
    private IEnumerable<int> Lengths => _padding.Select(padding => _columns - padding);

    /// <summary>Copies the columns that any row of a cache uses into another's, so that they end at the given one.</summary>
    private static void CopyEnd(KeyValueCache cache, Tensor from, Tensor to, int firstRow, int end)
    {
        using var scope = NewDisposeScope();
        var used = cache.Lengths.Max();
        to.narrow(0, firstRow, from.size(0)).narrow(2, end - used, used).copy_(from.narrow(2, cache._columns - used, used));
    }

    /// <summary>Makes room for more columns, half as many again at least, so that a row of any length is copied a few times only.</summary>
    private void Grow(int columns)
    {
        using var gradients = no_grad();
        var capacity = _columns + Math.Max(columns, Math.Max(LeastGrowth, _capacity / 2));
        foreach (var tensors in new[] { _keys, _values })
        {
            for (var layer = 0; layer < tensors.Length; layer++)
            {
                if (tensors[layer] is not { } full) continue;
                var grown = Room(full.size(0), capacity, full);
                using (var written = grown.narrow(2, 0, _columns))
                using (var old = full.narrow(2, 0, _columns)) written.copy_(old);
                full.Dispose();
                tensors[layer] = grown;
            }
        }

        _capacity = capacity;
        RenewColumnMask();
    }

    private void RenewColumnMask()
    {
        _columnMask?.Dispose();
        _columnMask = ColumnMask();
    }

    private static Tensor Own(Tensor tensor) => tensor.DetachFromDisposeScope();

    /// <summary>[rows, K, capacity, D/H] of zeros, with K and D/H of another tensor.</summary>
    private Tensor Room(long rows, int capacity, Tensor like) => Own(zeros([rows, like.size(1), capacity, like.size(3)], dtype: float32, device: _device));

    private static void Replace(ref Tensor? tensor, Tensor rows)
    {
        if (tensor is null) return;
        var selected = Own(tensor.index_select(0, rows));
        tensor.Dispose();
        tensor = selected;
    }

    /// <summary>The columns that a token which is read alone sees.</summary>
    private Tensor Seen(Tensor tensor, int dimension, int? window)
    {
        var first = Math.Max(0, _columns + 1 - (window ?? _capacity));
        return tensor.narrow(dimension, first, _columns + 1 - first);
    }

    private Tensor Write(ref Tensor? cache, Tensor values)
    {
        cache ??= Room(_padding.Length, _capacity, values);
        if (_reading == 1 && FusedOperations.Fit(values))
        {
            FusedOperations.WriteToken(values, cache, _columns);
            return cache;
        }

        using var column = cache.narrow(2, _columns, _reading);
        column.copy_(values);
        return cache;
    }

    /// <summary>The mask of this pass's tokens, made when the first layer with the window asks for it.</summary>
    private Tensor? Mask(int? window)
    {
        foreach (var (of, known) in _masks)
        {
            if (of == window) return known;
        }

        var mask = _reading > 1 ? PrefillMask(_reading, window) : _columnMask is null ? null : Own(Seen(_columnMask, 3, window));
        _masks.Add((window, mask));
        return mask;
    }

    /// <summary>0 in columns of padding among the next ones, 1 elsewhere.</summary>
    private float[] Real(int columns)
    {
        var real = new float[_padding.Length * columns];
        for (var row = 0; row < _padding.Length; row++)
        {
            var padding = Math.Clamp(_padding[row] - _columns, 0, columns);
            real.AsSpan(row * columns + padding, columns - padding).Fill(1);
        }

        return real;
    }

    private void DropMasks()
    {
        foreach (var (_, mask) in _masks) mask?.Dispose();
        _masks.Clear();
    }

    /// <summary>[B, 1, 1, C] float32: −∞ in columns of padding, 0 elsewhere; added to scores. Null without padding.</summary>
    private Tensor? ColumnMask()
    {
        if (Array.TrueForAll(_padding, columns => columns == 0)) return null;
        var mask = new float[_padding.Length * _capacity];
        for (var row = 0; row < _padding.Length; row++) mask.AsSpan(row * _capacity, _padding[row]).Fill(float.NegativeInfinity);
        return Own(tensor(mask, [_padding.Length, 1, 1, _capacity], device: _device));
    }

    /// <summary>
    /// −∞ above the diagonal and beyond the window: [T, T] float32 without padding. With it [B, 1, T, T], −∞ in its columns too; a column of padding sees itself, so that no row of scores is all −∞.
    /// Null where the causal mask alone is built in.
    /// </summary>
    private Tensor? PrefillMask(int columns, int? window)
    {
        using var scope = NewDisposeScope();
        if (_columnMask is null) return ScaledDotProduct.CausalMask(columns, window, _device) is { } causal ? Own(causal) : null;
        var mask = _columnMask.narrow(3, 0, columns).Add(ScaledDotProduct.FutureMask(columns, window, _device));
        using var diagonal = mask.diagonal(0, 2, 3);
        diagonal.zero_();
        return Own(mask);
    }
}
