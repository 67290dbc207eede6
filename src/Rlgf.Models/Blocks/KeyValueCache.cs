using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// Keys and values of all tokens read so far, for each layer [B, K, C, D/H] float32 with room for C columns, more being made when they are full: heads that share keys share them here too.
/// Rows are padded on the left, so all write the same column at each step.
/// </summary>
internal sealed class KeyValueCache : IAttention, IDisposable
{
    /// <summary>Room for at least so many columns is made at once: each time, what is there is copied.</summary>
    private const int LeastGrowth = 256;

    private readonly Tensor[] _keys;
    private readonly Tensor[] _values;
    private readonly int? _window;
    private int[] _padding;
    private int _capacity;
    private Tensor? _prefillMask;
    private Tensor? _columnMask;
    private Tensor? _stepMask;
    private int _columns;
    private int _reading;
    private int _firstSeen;

    /// <summary>Makes room.</summary>
    /// <param name="shape">The model's attention.</param>
    /// <param name="capacity">C: columns that there is room for at first.</param>
    /// <param name="padding">For each of the B rows, how many columns on its left are padding.</param>
    /// <param name="device">Where.</param>
    public KeyValueCache(AttentionShape shape, int capacity, int[] padding, Device device)
    {
        _window = shape.Window;
        _padding = padding;
        _capacity = capacity;
        long[] sizes = [padding.Length, shape.KeyValueHeads, capacity, shape.HeadSize];
        _keys = [.. Enumerable.Range(0, shape.Layers).Select(_ => Own(zeros(sizes, dtype: float32, device: device)))];
        _values = [.. Enumerable.Range(0, shape.Layers).Select(_ => Own(zeros(sizes, dtype: float32, device: device)))];
        _columnMask = ColumnMask(device);
    }

    public IAttention Anew() => throw new InvalidOperationException("Nothing is learned from a cache.");

    public int PastColumns => _columns;

    /// <summary>Says how many columns the next pass through the layers reads.</summary>
    public void Begin(int columns)
    {
        if (_columns + columns > _capacity) Grow(columns);
        _reading = columns;
        _firstSeen = Math.Max(0, _columns + 1 - (_window ?? _capacity));
        if (columns > 1) _prefillMask = PrefillMask(columns);
        else if (_columnMask is not null) _stepMask = Own(Seen(_columnMask, 3));
    }

    /// <summary>Ends a pass: what it wrote now counts.</summary>
    public void End()
    {
        _columns += _reading;
        _prefillMask?.Dispose();
        _prefillMask = null;
        _stepMask?.Dispose();
        _stepMask = null;
    }

    public Tensor Attend(int layer, Tensor query, Tensor key, Tensor value, Tensor? bias = null)
    {
        Write(_keys[layer], key);
        Write(_values[layer], value);
        if (_reading > 1) return ScaledDotProduct.Attend(query, key, value, _prefillMask, bias);

        using var scope = NewDisposeScope();
        var mask = bias is null ? _stepMask : _stepMask is null ? Seen(bias, 3).to_type(ScalarType.Float32) : Seen(bias, 3).Add(_stepMask);
        return ScaledDotProduct.AttendFromOne(query, Seen(_keys[layer], 2), Seen(_values[layer], 2), mask).MoveToOuterDisposeScope();
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

        if (_columnMask is not null) Replace(ref _columnMask, index);
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
                var joined = Own(zeros([lengths.Length, mine[layer].size(1), capacity, mine[layer].size(3)], dtype: float32, device: mine[layer].device));
                CopyEnd(this, mine[layer], joined, 0, columns);
                CopyEnd(other, theirs[layer], joined, _padding.Length, columns);
                mine[layer].Dispose();
                mine[layer] = joined;
            }
        }

        (_columns, _capacity, _padding) = (columns, capacity, [.. lengths.Select(length => columns - length)]);
        RenewColumnMask();
    }

    public void Dispose()
    {
        foreach (var tensor in _keys) tensor.Dispose();
        foreach (var tensor in _values) tensor.Dispose();
        _columnMask?.Dispose();
        _prefillMask?.Dispose();
        _stepMask?.Dispose();
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
                var grown = Own(zeros([tensors[layer].size(0), tensors[layer].size(1), capacity, tensors[layer].size(3)], dtype: float32, device: tensors[layer].device));
                using (var written = grown.narrow(2, 0, _columns))
                using (var old = tensors[layer].narrow(2, 0, _columns)) written.copy_(old);
                tensors[layer].Dispose();
                tensors[layer] = grown;
            }
        }

        _capacity = capacity;
        RenewColumnMask();
    }

    private void RenewColumnMask()
    {
        _columnMask?.Dispose();
        _columnMask = ColumnMask(_keys[0].device);
    }

    private static Tensor Own(Tensor tensor) => tensor.DetachFromDisposeScope();

    private static void Replace(ref Tensor tensor, Tensor rows)
    {
        var selected = Own(tensor.index_select(0, rows));
        tensor.Dispose();
        tensor = selected;
    }

    /// <summary>The columns that a token which is read alone sees.</summary>
    private Tensor Seen(Tensor tensor, int dimension) => tensor.narrow(dimension, _firstSeen, _columns + 1 - _firstSeen);

    private void Write(Tensor cache, Tensor values)
    {
        if (_reading == 1 && FusedOperations.Fit(values))
        {
            FusedOperations.WriteToken(values, cache, _columns);
            return;
        }

        using var column = cache.narrow(2, _columns, _reading);
        column.copy_(values);
    }

    /// <summary>[B, 1, 1, C] float32: −∞ in columns of padding, 0 elsewhere; added to scores. Null without padding.</summary>
    private Tensor? ColumnMask(Device device)
    {
        if (Array.TrueForAll(_padding, columns => columns == 0)) return null;
        var mask = new float[_padding.Length * _capacity];
        for (var row = 0; row < _padding.Length; row++) mask.AsSpan(row * _capacity, _padding[row]).Fill(float.NegativeInfinity);
        return Own(tensor(mask, [_padding.Length, 1, 1, _capacity], device: device));
    }

    /// <summary>
    /// −∞ above the diagonal and beyond the window: [T, T] float32 without padding. With it [B, 1, T, T], −∞ in its columns too; a column of padding sees itself, so that no row of scores is all −∞.
    /// Null where the causal mask alone is built in.
    /// </summary>
    private Tensor? PrefillMask(int columns)
    {
        using var scope = NewDisposeScope();
        var device = _keys[0].device;
        if (_columnMask is null) return ScaledDotProduct.CausalMask(columns, _window, device) is { } causal ? Own(causal) : null;
        var mask = _columnMask.narrow(3, 0, columns).Add(ScaledDotProduct.FutureMask(columns, _window, device));
        using var diagonal = mask.diagonal(0, 2, 3);
        diagonal.zero_();
        return Own(mask);
    }
}
