using Rlgf.Base;
using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families;

/// <summary>Writes rows with a cache. Rows are padded on the left, with their own positions, so that one column per step serves all.</summary>
internal sealed class CausalDecoder : IDecoder
{
    private readonly ICausalTransformer _transformer;
    private readonly LanguageModelShape _shape;
    private readonly Device _device;
    private KeyValueCache _cache;
    private int _positionLimit;
    private readonly int _room;
    private int[] _lengths;
    private List<int>[]? _tokens;
    private long[] _buffer;
    private Tensor? _nextLogits;

    /// <summary>The cache has room for so many new tokens at most before one of them is there: few responses are as long as they may be.</summary>
    private const int MostRoom = 512;

    public CausalDecoder(ICausalTransformer transformer, LanguageModelShape shape, Device device, IReadOnlyList<TokenRow> rows, int maxNewTokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(maxNewTokens);
        if (rows.Count == 0) throw new ArgumentException("There are no rows.", nameof(rows));
        foreach (var row in rows) Rows.Check(row, shape);
        _transformer = transformer;
        _shape = shape;
        _device = device;
        _lengths = [.. rows.Select(row => row.Prompt.Length + row.Response.Length)];
        var columns = _lengths.Max();
        _positionLimit = columns + maxNewTokens;
        _room = Math.Min(maxNewTokens, MostRoom);
        if (transformer.SameRotationUpTo is { } limit && columns <= limit && columns + maxNewTokens > limit) _tokens = [.. rows.Select(row => (List<int>)[.. row.Prompt, .. row.Response])];
        _cache = NewCache(columns);
        _buffer = [];
        Begin(columns, (b, ids) =>
        {
            Rows.Copy(rows[b].Prompt, ids);
            Rows.Copy(rows[b].Response, ids[rows[b].Prompt.Length..]);
        });
    }

    int IDecoder.Rows => _lengths.Length;

    public Tensor NextLogits => _nextLogits ?? throw new ObjectDisposedException(nameof(CausalDecoder));

    public void Append(ReadOnlySpan<int> tokens)
    {
        if (tokens.Length != _lengths.Length) throw new ArgumentException($"There are {_lengths.Length} rows and {tokens.Length} tokens.", nameof(tokens));
        Rows.CheckIds(tokens, _shape.Vocabulary);
        for (var b = 0; b < tokens.Length; b++)
        {
            if (_lengths[b] >= _shape.ContextLength) throw new InputException($"a row has reached the model's context of {_shape.ContextLength} tokens: ask for fewer new tokens or shorten the prompts.");
            _buffer[b] = tokens[b];
            _buffer[tokens.Length + b] = _lengths[b]++;
            _tokens?[b].Add(tokens[b]);
        }

        if (_tokens is { } all && _cache.PastColumns >= _transformer.SameRotationUpTo) ReadAgain(all);
        else Read(1);
    }

    public void Select(ReadOnlySpan<int> rows)
    {
        if (rows.Length == 0) throw new ArgumentException("At least one row must stay.", nameof(rows));
        var lengths = new int[rows.Length];
        var indices = new long[rows.Length];
        for (var b = 0; b < rows.Length; b++)
        {
            lengths[b] = _lengths[rows[b]];
            indices[b] = rows[b];
        }

        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var index = tensor(indices, device: _device);
        _cache.Select(rows, index);
        if (_tokens is { } tokens) _tokens = [.. rows.ToArray().Select(row => (List<int>)[.. tokens[row]])];
        Replace(NextLogits.index_select(0, index));
        _lengths = lengths;
        _buffer = new long[2 * rows.Length];
    }

    public bool TryJoin(IDecoder other)
    {
        // Rows whose keys may have to be rotated anew stay by themselves: when they must be depends on the longest.
        if (other is not CausalDecoder decoder || decoder._transformer != _transformer || _transformer.SameRotationUpTo is not null) return false;
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        _cache.Join(decoder._cache);
        Replace(cat([NextLogits, decoder.NextLogits]));
        _lengths = [.. _lengths, .. decoder._lengths];
        _buffer = new long[2 * _lengths.Length];
        _positionLimit = Math.Max(_positionLimit, decoder._positionLimit);
        decoder.Dispose();
        return true;
    }

    public void Dispose()
    {
        _cache.Dispose();
        _nextLogits?.Dispose();
        _nextLogits = null;
    }

    private KeyValueCache NewCache(int columns) => new(_transformer.Layers, columns + _room, [.. _lengths.Select(length => columns - length)], _device);

    /// <summary>Writes the tokens of a row to where they are to be read.</summary>
    private delegate void CopyRow(int row, Span<long> ids);

    /// <summary>Reads whole rows into an empty cache.</summary>
    private void Begin(int columns, CopyRow copy)
    {
        _buffer = new long[2 * _lengths.Length * columns];
        var ids = _buffer.AsSpan(0, _lengths.Length * columns);
        var positions = _buffer.AsSpan(_lengths.Length * columns);
        for (var b = 0; b < _lengths.Length; b++)
        {
            var first = (b + 1) * columns - _lengths[b];
            copy(b, ids[first..]);
            for (var t = 0; t < _lengths[b]; t++) positions[first + t] = t;
        }

        Read(columns);
        _buffer = new long[2 * _lengths.Length];
    }

    /// <summary>Once there are more columns than keys are rotated in one way, all are read again: by the other rotation, or without the columns of rows that are gone.</summary>
    private void ReadAgain(List<int>[] tokens)
    {
        _cache.Dispose();
        var columns = _lengths.Max();
        if (columns > _transformer.SameRotationUpTo) _tokens = null;
        _cache = NewCache(columns);
        Begin(columns, (b, ids) =>
        {
            for (var t = 0; t < tokens[b].Count; t++) ids[t] = tokens[b][t];
        });
    }

    /// <summary>Reads the ids and positions in the buffer, <paramref name="columns"/> for each row.</summary>
    private void Read(int columns)
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        long rows = _lengths.Length;
        var input = tensor(_buffer, [2, rows * columns], device: _device);
        var ids = input[0].view(rows, columns);
        _cache.Begin(columns);
        var states = _transformer.States(ids, new TokenPositions(input[1], _positionLimit), _cache);
        _cache.End();
        Replace(_transformer.Logits(states.select(1, columns - 1)));
    }

    private void Replace(Tensor logits)
    {
        _nextLogits?.Dispose();
        _nextLogits = logits.DetachFromDisposeScope();
    }
}
