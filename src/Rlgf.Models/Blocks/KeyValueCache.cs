using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// Keys and values of all tokens read so far, for each layer [B, K, C, D/H] float32 with room for C columns: heads that share keys share them here too. Rows are padded on the left, so all write the same column at each step.
/// </summary>
internal sealed class KeyValueCache : IAttention, IDisposable
{
    private readonly Tensor[] _keys;
    private readonly Tensor[] _values;
    private readonly int? _window;
    private readonly int _capacity;
    private Tensor? _prefillMask;
    private Tensor? _columnMask;
    private Tensor? _stepMask;
    private int _columns;
    private int _reading;
    private int _firstSeen;

    /// <summary>Makes room.</summary>
    /// <param name="shape">The model's attention.</param>
    /// <param name="capacity">C: columns.</param>
    /// <param name="padding">For each of the B rows, how many columns on its left are padding.</param>
    /// <param name="device">Where.</param>
    public KeyValueCache(AttentionShape shape, int capacity, int[] padding, Device device)
    {
        _window = shape.Window;
        _capacity = capacity;
        long[] sizes = [padding.Length, shape.KeyValueHeads, capacity, shape.HeadSize];
        _keys = [.. Enumerable.Range(0, shape.Layers).Select(_ => Own(zeros(sizes, dtype: float32, device: device)))];
        _values = [.. Enumerable.Range(0, shape.Layers).Select(_ => Own(zeros(sizes, dtype: float32, device: device)))];
        if (padding.Any(columns => columns > 0)) _columnMask = Own(ColumnMask(padding, device));
    }

    public int PastColumns => _columns;

    /// <summary>Says how many columns the next pass through the layers reads.</summary>
    public void Begin(int columns)
    {
        if (_columns + columns > _capacity) throw new InvalidOperationException($"The cache has room for {_capacity} columns, not for {_columns + columns}.");
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

    /// <summary>The columns that a token which is read alone sees.</summary>
    private Tensor Seen(Tensor tensor, int dimension) => tensor.narrow(dimension, _firstSeen, _columns + 1 - _firstSeen);

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
