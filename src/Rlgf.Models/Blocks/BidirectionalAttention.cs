using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>Every token sees all tokens of its row and no padding. Rows are padded on the right; what stands in a column of padding is finite and means nothing.</summary>
internal sealed class BidirectionalAttention : IAttention
{
    private readonly IReadOnlyList<int> _lengths;
    private readonly int _columns;
    private readonly Device _device;
    private readonly Tensor _mask;

    /// <summary>Prepares the mask, which belongs to the caller's scope.</summary>
    /// <param name="lengths">Number of tokens of each of the B rows, at least 1.</param>
    /// <param name="columns">T.</param>
    /// <param name="device">Where.</param>
    public BidirectionalAttention(IReadOnlyList<int> lengths, int columns, Device device) => (_lengths, _columns, _device, _mask) = (lengths, columns, device, PaddingMask(lengths, columns, device));

    public int PastColumns => 0;

    public IAttention Anew() => new BidirectionalAttention(_lengths, _columns, _device);

    public int Longest => _lengths.Max();

    public Tensor Attend(int layer, Tensor query, Tensor key, Tensor value, in Scores scores = default) => ScaledDotProduct.Attend(query, key, value, _mask, scores);

    public Tensor KeyPositions(int columns) => TensorNumbers.Range(columns, _device).to_type(ScalarType.Float32).view(1, 1, 1, -1);

    /// <summary>[B, 1, 1, T] float32 to be added to scores: −∞ from each row's length on, 0 before. Belongs to the caller's scope.</summary>
    public static Tensor PaddingMask(IReadOnlyList<int> lengths, int columns, Device device)
    {
        var mask = new float[lengths.Count * columns];
        for (var row = 0; row < lengths.Count; row++) mask.AsSpan(row * columns + lengths[row], columns - lengths[row]).Fill(float.NegativeInfinity);
        return tensor(mask, [lengths.Count, 1, 1, columns], device: device);
    }
}
