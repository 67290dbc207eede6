using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// Who sees whom. A block of any family computes its queries, keys and values and leaves the rest to this: training looks at whole rows, decoding at a cache.
/// </summary>
internal interface IAttention
{
    /// <summary>Attends, scores divided by √(head size).</summary>
    /// <param name="layer">Number of the layer, from 0.</param>
    /// <param name="query">[B, H, T, D/H] float32, any strides.</param>
    /// <param name="key">[B, H, T, D/H] float32: of the same tokens as the queries.</param>
    /// <param name="value">[B, H, T, D/H] float32.</param>
    /// <returns>[B, H, T, D/H] float32.</returns>
    Tensor Attend(int layer, Tensor query, Tensor key, Tensor value);
}

/// <summary>
/// Each token sees itself and all before it in its row. Rows must be padded on the right, where a mask has nothing to do: no real token sees padding.
/// </summary>
/// <param name="columns">T.</param>
/// <param name="device">Where.</param>
internal sealed class CausalAttention(int columns, Device device) : IAttention
{
    private readonly Tensor? _mask = ScaledDotProduct.IsShort(columns) ? ScaledDotProduct.FutureMask(columns, device) : null;

    public Tensor Attend(int layer, Tensor query, Tensor key, Tensor value) => ScaledDotProduct.Attend(query, key, value, _mask);
}

/// <summary>softmax(q kᵀ / √(D/H) + mask) v.</summary>
internal static class ScaledDotProduct
{
    /// <summary>
    /// libtorch's fused kernel saves the scores' memory, but it multiplies tile by tile, and the way to oneDNN (<see cref="FastFloat32Products"/>) costs more than a small tile itself:
    /// at 64 tokens it is eight times slower than whole products. Beyond this length memory matters more.
    /// </summary>
    private const int LongestShort = 256;

    /// <summary>Whether rows of that length are attended by whole products, which need a mask; the fused kernel has the causal one built in.</summary>
    public static bool IsShort(int columns) => columns <= LongestShort;

    /// <summary>[T, T] float32: −∞ above the diagonal, 0 elsewhere. Belongs to the caller's scope.</summary>
    public static Tensor FutureMask(int columns, Device device)
    {
        using var full = torch.full([columns, columns], float.NegativeInfinity, dtype: float32, device: device);
        return full.triu(1);
    }

    /// <summary>Attends.</summary>
    /// <param name="query">[B, H, T, D/H] float32, any strides; keys and values likewise.</param>
    /// <param name="key">Keys of the same tokens.</param>
    /// <param name="value">Values of the same tokens.</param>
    /// <param name="mask">Added to the scores, float32, broadcast to [B, H, T, T]; null for the causal one, with rows that are not short.</param>
    public static Tensor Attend(Tensor query, Tensor key, Tensor value, Tensor? mask)
    {
        long columns = query.size(2);
        if (!IsShort((int)columns)) return nn.functional.scaled_dot_product_attention(query, key, value, mask, is_casual: mask is null);
        using var scope = NewDisposeScope();
        var scores = (query * (float)(1 / Math.Sqrt(query.size(3)))).matmul(key.transpose(2, 3));
        if (mask is not null) scores.add_(mask);
        return nn.functional.softmax(scores, -1).matmul(value).MoveToOuterDisposeScope();
    }

    /// <summary>Attends from one token of each row to all that is cached.</summary>
    /// <param name="query">[B, H, 1, D/H] float32, any strides.</param>
    /// <param name="keys">[B, H, C, D/H].</param>
    /// <param name="values">[B, H, C, D/H].</param>
    /// <param name="mask">[B, 1, 1, C], added to the scores; null for none.</param>
    public static Tensor AttendFromOne(Tensor query, Tensor keys, Tensor values, Tensor? mask)
    {
        // Its many small products of one row go to MKL: through oneDNN it is five times slower (28 rows, 12 heads of 64, 88 columns).
        using var small = FastFloat32Products.Suspend();
        return nn.functional.scaled_dot_product_attention(query, keys, values, mask);
    }
}
