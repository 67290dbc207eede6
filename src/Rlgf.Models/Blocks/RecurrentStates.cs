using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// What layers that don't attend keep of the tokens before: numbers of one size whatever the row's length is, such as the last inputs of a convolution. They stand beside keys and values, and rows are kept, copied and joined as those are.
/// </summary>
internal sealed class RecurrentStates : IDisposable
{
    private readonly Dictionary<(int Layer, int Part), Tensor> _parts = [];

    /// <summary>[B, T, 1] float32 of the pass that is going on: 0 where a column is padding, 1 elsewhere; null where none is.</summary>
    public Tensor? Real { get; set; }

    /// <summary>A part of a layer's state, [B, …]; null at a row's beginning, where all is zero.</summary>
    public Tensor? this[int layer, int part] => _parts.GetValueOrDefault((layer, part));

    /// <summary>Keeps what a pass leaves.</summary>
    /// <param name="layer">Number of the layer.</param>
    /// <param name="part">Which of the layer's parts.</param>
    /// <param name="state">[B, …]; owned from now on.</param>
    public void Keep(int layer, int part, Tensor state)
    {
        if (_parts.Remove((layer, part), out var old)) old.Dispose();
        _parts[(layer, part)] = state.DetachFromDisposeScope();
    }

    /// <summary>Keeps the rows of the given indices [B'] int64.</summary>
    public void Select(Tensor index) => Replace((_, state) => state.index_select(0, index));

    /// <summary>Takes copies of another's rows behind its own.</summary>
    public void Join(RecurrentStates other) => Replace((key, state) => cat([state, other._parts[key]]));

    public void Dispose()
    {
        foreach (var state in _parts.Values) state.Dispose();
        _parts.Clear();
        Real?.Dispose();
        Real = null;
    }

    private void Replace(Func<(int, int), Tensor, Tensor> made)
    {
        foreach (var key in _parts.Keys.ToArray()) Keep(key.Layer, key.Part, made(key, _parts[key]));
    }
}

/// <summary>A convolution of each channel over a token and those before it.</summary>
internal sealed class CausalConvolution : nn.Module
{
    private readonly TorchSharp.Modules.Parameter _weight;
    private readonly TorchSharp.Modules.Parameter? _bias;
    private readonly int _kernel;

    /// <summary>Makes it without values.</summary>
    /// <param name="channels">C.</param>
    /// <param name="kernel">k: how many tokens it looks at, a token's own included.</param>
    /// <param name="bias">Whether it is shifted.</param>
    /// <param name="device">Where.</param>
    public CausalConvolution(int channels, int kernel, bool bias, Device device) : base(nameof(CausalConvolution))
    {
        _kernel = kernel;
        _weight = Weights.Parameter([channels, 1, kernel], device);
        register_parameter("weight", _weight);
        if (!bias) return;
        _bias = Weights.Parameter([channels], device);
        register_parameter("bias", _bias);
    }

    /// <summary>y_t = Σ_j w_j x_(t − k + 1 + j) + b.</summary>
    /// <param name="x">[B, T, C].</param>
    /// <param name="layer">Number of the layer.</param>
    /// <param name="states">The last k − 1 inputs are its part 0; null where rows are read from their beginning, without padding on the left.</param>
    /// <returns>[B, T, C].</returns>
    public Tensor Forward(Tensor x, int layer, RecurrentStates? states)
    {
        using var scope = NewDisposeScope();
        // What stands in a column of padding would reach the first tokens.
        if (states?.Real is { } real) x = x * real.to_type(x.dtype);
        long rows = x.size(0), columns = x.size(1), channels = x.size(2);
        var past = states?[layer, 0]?.to_type(x.dtype) ?? zeros([rows, _kernel - 1, channels], dtype: x.dtype, device: x.device);
        var all = cat([past, x], 1);
        states?.Keep(layer, 0, all.narrow(1, columns, _kernel - 1).clone());
        var weights = _weight.to_type(x.dtype);
        Tensor? sum = null;
        for (var j = 0; j < _kernel; j++)
        {
            var term = all.narrow(1, j, columns) * weights.select(2, j).view(1, 1, -1);
            sum = sum is null ? term : sum.Add(term);
        }

        return (_bias is null ? sum! : sum!.Add(_bias.to_type(x.dtype))).MoveToOuterDisposeScope();
    }

    /// <summary>Weights from N(0, deviation²), shifts zero.</summary>
    public void Initialise(double deviation, Generator random)
    {
        using var gradients = no_grad();
        _weight.normal_(0, deviation, random);
        _bias?.Fill(0);
    }
}
