using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// Attention where prompts are read once for all their responses: first each prompt by itself, whose keys and values are kept, then responses, of which each sees its own prompt and its own tokens before. Rows are padded on the right.
/// Differentiable: what responses ask of a prompt's keys and values adds up.
/// </summary>
internal sealed class PromptAttention : IAttention, IDisposable
{
    private readonly int[] _lengths;
    private readonly int _columns;
    private readonly Device _device;
    private readonly Tensor[] _keys;
    private readonly Tensor[] _values;
    private readonly Tensor? _promptMask;
    private Tensor? _promptOf;
    private int[] _begins = [];
    private Tensor? _responseMask;

    /// <summary>Begins with prompts.</summary>
    /// <param name="layers">L; none has a window that any row is longer than.</param>
    /// <param name="lengths">U: tokens of each prompt.</param>
    /// <param name="columns">P: columns that prompts are padded to.</param>
    /// <param name="longest">Tokens of the longest row, its response included.</param>
    /// <param name="device">Where.</param>
    public PromptAttention(int layers, int[] lengths, int columns, int longest, Device device)
    {
        (_lengths, _columns, _device, Longest) = (lengths, columns, device, longest);
        (_keys, _values) = (new Tensor[layers], new Tensor[layers]);
        _promptMask = ScaledDotProduct.CausalMask(columns, null, device)?.DetachFromDisposeScope();
    }

    public int PastColumns => _promptOf is null ? 0 : _columns;

    public int Longest { get; }

    /// <summary>From now on responses are read.</summary>
    /// <param name="promptOf">B: which prompt each has.</param>
    /// <param name="columns">T: their columns.</param>
    public void Begin(int[] promptOf, int columns)
    {
        End();
        using var scope = NewDisposeScope();
        _promptOf = tensor(Array.ConvertAll(promptOf, prompt => (long)prompt), device: _device).DetachFromDisposeScope();
        _begins = [.. promptOf.Select(prompt => _lengths[prompt])];
        // One mask for all rows where their prompts are of one length.
        int[] lengths = Array.TrueForAll(_lengths, length => length == _lengths[0]) ? [_lengths[0]] : _begins;
        var padding = new float[lengths.Length * _columns];
        for (var row = 0; row < lengths.Length; row++) padding.AsSpan(row * _columns, _columns)[lengths[row]..].Fill(float.NegativeInfinity);
        var future = ScaledDotProduct.FutureMask(columns, null, _device);
        _responseMask = (lengths.Length == 1
            ? cat([tensor(padding, device: _device).expand(columns, _columns), future], 1)
            : cat([tensor(padding, [lengths.Length, 1, 1, _columns], device: _device).expand(lengths.Length, 1, columns, _columns), future.expand(lengths.Length, 1, columns, columns)], 3))
            .DetachFromDisposeScope();
    }

    public IAttention Anew() => throw new InvalidOperationException("Shared prompts are not read where activations are computed again.");

    public Tensor KeyPositions(int columns)
    {
        if (_promptOf is null) return TensorNumbers.Range(columns, _device).to_type(ScalarType.Float32).view(1, 1, 1, -1);
        // Columns of a prompt, the last of which may be padding, and then the row's own, from its prompt's length on.
        var positions = new float[_begins.Length * (_columns + columns)];
        for (var row = 0; row < _begins.Length; row++)
        {
            var of = positions.AsSpan(row * (_columns + columns), _columns + columns);
            for (var column = 0; column < of.Length; column++) of[column] = column < _begins[row] ? column : column < _columns ? 0 : _begins[row] + column - _columns;
        }

        return tensor(positions, [_begins.Length, 1, 1, _columns + columns], device: _device);
    }

    public Tensor Attend(int layer, Tensor query, Tensor key, Tensor value, in Scores scores = default)
    {
        if (_promptOf is null)
        {
            // Copies: what they are views of is a layer's whole product.
            (_keys[layer], _values[layer]) = (Own(key.contiguous()), Own(value.contiguous()));
            return ScaledDotProduct.Attend(query, key, value, _promptMask, scores);
        }

        using var scope = NewDisposeScope();
        return ScaledDotProduct.Attend(query, With(_keys[layer], key), With(_values[layer], value), _responseMask, scores).MoveToOuterDisposeScope();

        Tensor With(Tensor ofPrompts, Tensor own) => cat([ofPrompts.index_select(0, _promptOf), own], 2);
    }

    public void Dispose()
    {
        End();
        _promptMask?.Dispose();
        foreach (var tensor in _keys) tensor?.Dispose();
        foreach (var tensor in _values) tensor?.Dispose();
    }

    private static Tensor Own(Tensor tensor) => tensor.DetachFromDisposeScope();

    private void End()
    {
        _promptOf?.Dispose();
        _responseMask?.Dispose();
        (_promptOf, _responseMask) = (null, null);
    }
}
