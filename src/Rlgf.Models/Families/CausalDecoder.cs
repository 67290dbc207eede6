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
    private readonly KeyValueCache _cache;
    private int _positionLimit;
    private int[] _lengths;
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
        _cache = new KeyValueCache(transformer.AttentionShape, columns + Math.Min(maxNewTokens, MostRoom), [.. _lengths.Select(length => columns - length)], device);
        _buffer = new long[2 * rows.Count * columns];

        var ids = _buffer.AsSpan(0, rows.Count * columns);
        var positions = _buffer.AsSpan(rows.Count * columns);
        for (var b = 0; b < rows.Count; b++)
        {
            var first = (b + 1) * columns - _lengths[b];
            Rows.Copy(rows[b].Prompt, ids[first..]);
            Rows.Copy(rows[b].Response, ids[(first + rows[b].Prompt.Length)..]);
            for (var t = 0; t < _lengths[b]; t++) positions[first + t] = t;
        }

        Read(columns);
        _buffer = new long[2 * rows.Count];
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
        }

        Read(1);
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
        Replace(NextLogits.index_select(0, index));
        _lengths = lengths;
        _buffer = new long[2 * rows.Length];
    }

    public bool TryJoin(IDecoder other)
    {
        if (other is not CausalDecoder decoder || decoder._transformer != _transformer) return false;
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
