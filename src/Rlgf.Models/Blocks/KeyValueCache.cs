using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// Keys and values of all tokens read so far, for each layer [B, H, C, D/H] with room for C columns. Rows are padded on the left, so all write the same column at each step.
/// </summary>
internal sealed class KeyValueCache : IAttention, IDisposable
{
    private readonly Tensor[] _keys;
    private readonly Tensor[] _values;
    private readonly int _capacity;
    private Tensor? _prefillMask;
    private Tensor? _columnMask;
    private Tensor? _stepMask;
    private int _columns;
    private int _reading;

    /// <summary>Makes room.</summary>
    /// <param name="layers">L.</param>
    /// <param name="heads">Number of heads that have keys and values.</param>
    /// <param name="headSize">D/H.</param>
    /// <param name="capacity">C: columns.</param>
    /// <param name="padding">For each of the B rows, how many columns on its left are padding.</param>
    /// <param name="device">Where.</param>
    public KeyValueCache(int layers, int heads, int headSize, int capacity, int[] padding, Device device)
    {
        _capacity = capacity;
        long[] shape = [padding.Length, heads, capacity, headSize];
        _keys = [.. Enumerable.Range(0, layers).Select(_ => Own(zeros(shape, dtype: float32, device: device)))];
        _values = [.. Enumerable.Range(0, layers).Select(_ => Own(zeros(shape, dtype: float32, device: device)))];
        if (padding.Any(columns => columns > 0)) _columnMask = Own(ColumnMask(padding, device));
    }

    /// <summary>Columns that were read and written.</summary>
    public int Columns => _columns;

    /// <summary>Says how many columns the next pass through the layers reads.</summary>
    public void Begin(int columns)
    {
        if (_columns + columns > _capacity) throw new InvalidOperationException($"The cache has room for {_capacity} columns, not for {_columns + columns}.");
        _reading = columns;
        if (columns > 1) _prefillMask = PrefillMask(columns);
        else if (_columnMask is not null) _stepMask = Own(_columnMask.narrow(3, 0, _columns + 1));
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

    public Tensor Attend(int layer, Tensor query, Tensor key, Tensor value)
    {
        Write(_keys[layer], key);
        Write(_values[layer], value);
        if (_reading > 1) return ScaledDotProduct.Attend(query, key, value, _prefillMask);

        using var keys = _keys[layer].narrow(2, 0, _columns + 1);
        using var values = _values[layer].narrow(2, 0, _columns + 1);
        return ScaledDotProduct.AttendFromOne(query, keys, values, _stepMask);
    }

    /// <summary>Keeps the given rows in the given order.</summary>
    /// <param name="rows">[B'] int64 on the cache's device.</param>
    public void Select(Tensor rows)
    {
        for (var layer = 0; layer < _keys.Length; layer++)
        {
            Replace(ref _keys[layer], rows);
            Replace(ref _values[layer], rows);
        }

        if (_columnMask is not null) Replace(ref _columnMask, rows);
    }

    public void Dispose()
    {
        foreach (var tensor in _keys) tensor.Dispose();
        foreach (var tensor in _values) tensor.Dispose();
        _columnMask?.Dispose();
        _prefillMask?.Dispose();
        _stepMask?.Dispose();
    }

    private static Tensor Own(Tensor tensor) => tensor.DetachFromDisposeScope();

    private static void Replace(ref Tensor tensor, Tensor rows)
    {
        var selected = Own(tensor.index_select(0, rows));
        tensor.Dispose();
        tensor = selected;
    }

    private void Write(Tensor cache, Tensor values)
    {
        using var column = cache.narrow(2, _columns, _reading);
        column.copy_(values);
    }

    /// <summary>[B, 1, 1, C] float32: −∞ in columns of padding, 0 elsewhere; added to scores.</summary>
    private Tensor ColumnMask(int[] padding, Device device)
    {
        var mask = new float[padding.Length * _capacity];
        for (var row = 0; row < padding.Length; row++) mask.AsSpan(row * _capacity, padding[row]).Fill(float.NegativeInfinity);
        return tensor(mask, [padding.Length, 1, 1, _capacity], device: device);
    }

    /// <summary>
    /// −∞ above the diagonal: [T, T] float32 without padding. With it [B, 1, T, T], −∞ in its columns too; a column of padding sees itself, so that no row of scores is all −∞.
    /// Null where the causal mask alone is built in.
    /// </summary>
    private Tensor? PrefillMask(int columns)
    {
        using var scope = NewDisposeScope();
        if (_columnMask is null && !ScaledDotProduct.IsShort(columns)) return null;
        var mask = ScaledDotProduct.FutureMask(columns, _keys[0].device);
        if (_columnMask is null) return Own(mask);
        mask = _columnMask.narrow(3, 0, columns) + mask;
        using var diagonal = mask.diagonal(0, 2, 3);
        diagonal.zero_();
        return Own(mask);
    }
}
