using System.Runtime.InteropServices;
using LLama;
using LLama.Native;
using Rlgf.Base;
using Rlgf.Models;
using static TorchSharp.torch;

namespace Rlgf.LlamaCpp;

/// <summary>
/// Rows in a context of llama.cpp, each a sequence of its own. Nothing is read until logits are asked for: a selection before that tells how many rows there will be. Equal rows are read once and their keys and values copied.
/// </summary>
internal sealed class LlamaCppDecoder : IDecoder
{
    /// <summary>The most tokens of one call.</summary>
    public const int MostTokens = 512;

    private readonly LlamaCppModel _model;
    private readonly int _length;
    private readonly LLamaBatch _batch = new();

    // Rows whose last token is in the batch, and its place there.
    private readonly List<(int Row, int At)> _wanted = [];
    private List<Row> _rows;
    private LLamaContext? _context;
    private int _capacity;
    private Tensor? _logits;

    public LlamaCppDecoder(LlamaCppModel model, IReadOnlyList<TokenRow> rows, int maxNewTokens)
    {
        _model = model;
        _rows = [.. rows.Select(row => new Row([.. row.Prompt, .. row.Response]))];
        _length = _rows.Max(row => row.Tokens.Count) + maxNewTokens;
        for (var i = 0; i < rows.Count; i++)
        {
            if (rows[i].Prompt.Length == 0) throw new InputException($"row {i} (counted from 0) has no token to begin with.");
            // llama.cpp would say of a token that is none no more than that the batch is invalid.
            var foreign = _rows[i].Tokens.FindIndex(id => id < 0 || id >= model.Shape.Vocabulary);
            if (foreign >= 0) throw new InputException($"row {i} (counted from 0) has the token {_rows[i].Tokens[foreign]}, and the model's vocabulary has {model.Shape.Vocabulary}.");
        }
    }

    /// <inheritdoc/>
    public int Rows => _rows.Count;

    /// <inheritdoc/>
    public Tensor NextLogits
    {
        get
        {
            if (_logits is null) Read();
            return _logits!;
        }
    }

    /// <inheritdoc/>
    public void Append(ReadOnlySpan<int> tokens)
    {
        // What stands there must have been read before something follows it.
        if (_context is null) Read();
        for (var i = 0; i < _rows.Count; i++) _rows[i].Tokens.Add(tokens[i]);
        RenewLogits();
        for (var i = 0; i < _rows.Count; i++) Put(i, _rows[i].Tokens.Count - 1);
        Compute();
    }

    /// <inheritdoc/>
    public void Select(ReadOnlySpan<int> rows)
    {
        var selected = new List<Row>(rows.Length);
        if (_context is { } context && rows.Length <= _capacity)
        {
            var kept = new HashSet<int>();
            foreach (var row in rows) kept.Add(row);
            for (var i = 0; i < _rows.Count; i++)
                if (!kept.Contains(i)) context.NativeHandle.MemorySequenceRemove((LLamaSeqId)_rows[i].Sequence, -1, -1);
            var free = new Stack<int>(Enumerable.Range(0, _capacity).Except(kept.Select(i => _rows[i].Sequence)));
            foreach (var row in rows) selected.Add(kept.Remove(row) ? _rows[row] : Copy(_rows[row], free.Pop()));
            using var places = tensor(Array.ConvertAll(rows.ToArray(), row => (long)row));
            var logits = _logits!.index_select(0, places).DetachFromDisposeScope();
            _logits.Dispose();
            _logits = logits;
        }
        else
        {
            // More rows than there is room for, or none read yet: they are read, anew where need be, when logits are asked for.
            foreach (var row in rows) selected.Add(new Row(_rows[row].Tokens));
            Close();
        }

        _rows = selected;
    }

    /// <inheritdoc/>
    public void Dispose() => Close();

    private void Close()
    {
        _logits?.Dispose();
        _context?.Dispose();
        (_logits, _context) = (null, null);
    }

    private Row Copy(Row row, int sequence)
    {
        _context!.NativeHandle.MemorySequenceCopy((LLamaSeqId)row.Sequence, (LLamaSeqId)sequence, -1, -1);
        return new Row([.. row.Tokens]) { Sequence = sequence };
    }

    /// <summary>Reads all rows into a context of their own.</summary>
    private void Read()
    {
        _capacity = _rows.Count;
        _context = _model.Open(_capacity, _length);
        var first = new Dictionary<List<int>, int>(ReferenceEqualityComparer.Instance);
        RenewLogits();
        for (var i = 0; i < _rows.Count; i++)
        {
            _rows[i].Sequence = i;
            if (!first.TryAdd(_rows[i].Tokens, i)) continue;
            for (var place = 0; place < _rows[i].Tokens.Count; place++) Put(i, place);
        }

        Compute();
        for (var i = 0; i < _rows.Count; i++)
        {
            var source = first[_rows[i].Tokens];
            if (source == i) continue;
            _rows[i].Tokens = [.. _rows[i].Tokens];
            _context.NativeHandle.MemorySequenceCopy((LLamaSeqId)source, (LLamaSeqId)i, -1, -1);
            LogitsOf(source).CopyTo(LogitsOf(i));
        }
    }

    /// <summary>Puts one of a row's tokens into the batch, which is computed where it is full.</summary>
    private void Put(int row, int place)
    {
        if (_batch.TokenCount == MostTokens) Compute();
        var isLast = place == _rows[row].Tokens.Count - 1;
        var at = _batch.Add((LLamaToken)_rows[row].Tokens[place], (LLamaPos)place, (LLamaSeqId)_rows[row].Sequence, isLast);
        if (isLast) _wanted.Add((row, at));
    }

    private void Compute()
    {
        if (_batch.TokenCount == 0) return;
        var done = LlamaCppLibrary.Try(() => _context!.NativeHandle.Decode(_batch), said => Failed(said));
        if (done != DecodeResult.Ok) throw Failed($"{done}");
        foreach (var (row, at) in _wanted) _context!.NativeHandle.GetLogitsIth(at).CopyTo(LogitsOf(row));
        _wanted.Clear();
        _batch.Clear();
    }

    private InputException Failed(string said) => new($"{_model.Path}: llama.cpp can't compute {_rows.Count} rows of up to {_length} tokens: {said}; lower batch_rows of its sampling.");

    /// <summary>Room for the logits of all rows.</summary>
    private void RenewLogits()
    {
        _logits?.Dispose();
        // Outside of a caller's dispose scope: the logits live until the next step.
        _logits = empty(_rows.Count, _model.Shape.Vocabulary, dtype: ScalarType.Float32, device: CPU).DetachFromDisposeScope();
    }

    private Span<float> LogitsOf(int row) => MemoryMarshal.Cast<byte, float>(_logits!.bytes).Slice(row * _model.Shape.Vocabulary, _model.Shape.Vocabulary);

    private sealed class Row(List<int> tokens)
    {
        /// <summary>Prompt and response. Rows that were selected from one before anything was read share the list, so that it is read once.</summary>
        public List<int> Tokens { get; set; } = tokens;

        /// <summary>Which of the context's it is.</summary>
        public int Sequence { get; set; }
    }
}
