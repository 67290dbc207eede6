using Rlgf.Models.Tensors;
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
    /// <param name="query">[B, H, T, D/H] of the model's type, any strides.</param>
    /// <param name="key">[B, K, T, D/H]: of the same tokens as the queries. K heads, each for H/K neighbouring queries.</param>
    /// <param name="value">[B, K, T, D/H].</param>
    /// <param name="bias">[1, H, T, C], added to the scores, with C = <see cref="PastColumns"/> + T; null for none. Heads then don't share keys.</param>
    /// <returns>[B, H, T, D/H] of the same type.</returns>
    Tensor Attend(int layer, Tensor query, Tensor key, Tensor value, Tensor? bias = null);

    /// <summary>How many columns stand before the queries' own and are seen too.</summary>
    int PastColumns { get; }

    /// <summary>The same with tensors of its own, which belong to the caller's scope: for what is computed again when those of this one are gone. Not for a cache, from which nothing is learned.</summary>
    IAttention Anew();
}

/// <summary>What a cache and a mask need to know of a model's attention.</summary>
/// <param name="Layers">L.</param>
/// <param name="KeyValueHeads">Heads that have keys and values.</param>
/// <param name="HeadSize">D/H.</param>
/// <param name="Window">How many tokens a token sees, itself included; null for all before it.</param>
internal sealed record AttentionShape(int Layers, int KeyValueHeads, int HeadSize, int? Window = null);

/// <summary>Positions of tokens in their rows.</summary>
/// <param name="Values">[B·T] int64.</param>
/// <param name="Limit">A number above all of them.</param>
internal readonly record struct TokenPositions(Tensor Values, int Limit);

/// <summary>
/// Each token sees itself and all before it in its row. Rows must be padded on the right, where a mask has nothing to do: no real token sees padding.
/// </summary>
/// <param name="columns">T.</param>
/// <param name="window">How many tokens a token sees, itself included; null for all before it.</param>
/// <param name="device">Where.</param>
internal sealed class CausalAttention(int columns, int? window, Device device) : IAttention
{
    private readonly Tensor? _mask = ScaledDotProduct.CausalMask(columns, window, device);

    public int PastColumns => 0;

    public IAttention Anew() => new CausalAttention(columns, window, device);

    public Tensor Attend(int layer, Tensor query, Tensor key, Tensor value, Tensor? bias = null) => ScaledDotProduct.Attend(query, key, value, _mask, bias);
}

/// <summary>softmax(q kᵀ / √(D/H) + mask) v.</summary>
internal static class ScaledDotProduct
{
    /// <summary>
    /// libtorch's fused kernel saves the scores' memory, but it multiplies tile by tile, and the way to oneDNN (<see cref="FastFloat32Products"/>) costs more than a small tile itself:
    /// at 64 tokens it is eight times slower than whole products. Beyond this length memory matters more.
    /// </summary>
    private const int LongestShort = 256;

    /// <summary>The mask that <see cref="Attend"/> needs for rows without padding on their left: null where the fused kernel's own does. Belongs to the caller's scope.</summary>
    /// <param name="columns">T.</param>
    /// <param name="window">How many tokens a token sees, itself included; null for all before it.</param>
    /// <param name="device">Where.</param>
    public static Tensor? CausalMask(int columns, int? window, Device device) => columns <= LongestShort || window < columns ? FutureMask(columns, window, device) : null;

    /// <summary>[T, T] float32: −∞ above the diagonal and beyond the window below it, 0 elsewhere. Belongs to the caller's scope.</summary>
    public static Tensor FutureMask(int columns, int? window, Device device)
    {
        using var full = TensorNumbers.Filled([columns, columns], float.NegativeInfinity, device);
        if (window is not { } seen || seen >= columns) return full.triu(1);
        using var past = full.tril(-seen);
        return full.triu(1).AddInPlace(past);
    }

    /// <summary>Attends.</summary>
    /// <param name="query">[B, H, T, D/H] float32 or bfloat16, any strides.</param>
    /// <param name="key">[B, K, T, D/H]: keys of the same tokens, each of the K heads for H/K neighbouring queries.</param>
    /// <param name="value">[B, K, T, D/H]: values of the same tokens.</param>
    /// <param name="mask">Added to the scores, float32, [T, T] or broadcast to [B, 1, T, T]; null for the causal one, with rows that are not short.</param>
    /// <param name="bias">Added to the scores too, float32, [1, H, T, T], where heads don't share keys; null for none.</param>
    public static Tensor Attend(Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor? bias = null)
    {
        long rows = query.size(0), heads = query.size(1), columns = query.size(2), size = query.size(3), keyHeads = key.size(1), group = heads / keyHeads;
        using var scope = NewDisposeScope();
        if (columns > LongestShort)
        {
            if (bias is not null) mask = (mask ?? FutureMask((int)columns, null, query.device)).Add(bias);
            return nn.functional.scaled_dot_product_attention(query.to_type(value.dtype), Repeat(key.to_type(value.dtype), group), Repeat(value, group), mask?.to_type(value.dtype), is_casual: mask is null)
                .to_type(query.dtype).MoveToOuterDisposeScope();
        }

        // Scores have many digits before the point where one counts behind it: they are float32, as the fused kernel's own are.
        var type = query.dtype;
        (query, key, value) = (query.to_type(ScalarType.Float32), key.to_type(ScalarType.Float32), value.to_type(ScalarType.Float32));
        // Heads that share keys ask as more rows of one product.
        if (group > 1) query = query.reshape(rows, keyHeads, group * columns, size);
        var scores = query.Multiply((float)(1 / Math.Sqrt(size))).matmul(key.transpose(2, 3));
        if (mask is not null) scores.AddInPlace(group == 1 ? mask : mask.dim() == 2 ? mask.repeat(group, 1) : mask.repeat(1, 1, group, 1));
        if (bias is not null) scores.AddInPlace(bias);
        var attended = nn.functional.softmax(scores, -1).matmul(value);
        return (group == 1 ? attended : attended.view(rows, heads, columns, size)).to_type(type).MoveToOuterDisposeScope();
    }

    /// <summary>Attends from one token of each row to all that is cached.</summary>
    /// <param name="query">[B, H, 1, D/H] float32, any strides.</param>
    /// <param name="keys">[B, K, C, D/H] float32: each of the K heads for H/K neighbouring queries.</param>
    /// <param name="values">[B, K, C, D/H] float32.</param>
    /// <param name="mask">Added to the scores, broadcast to [B, H, 1, C]; where heads share keys, [B, 1, 1, C]; null for none.</param>
    public static Tensor AttendFromOne(Tensor query, Tensor keys, Tensor values, Tensor? mask)
    {
        if (OneTokenAttention.Fits(query, keys, values, mask)) return OneTokenAttention.Attend(query, keys, values, mask);

        // Its many small products of one row go to MKL: through oneDNN it is five times slower (28 rows, 12 heads of 64, 88 columns).
        using var small = FastFloat32Products.Suspend();
        using var scope = NewDisposeScope();

        // Heads that share keys ask as more rows of one head.
        var grouped = query.size(1) == keys.size(1) ? query : query.reshape(query.size(0), keys.size(1), -1, query.size(3));
        return nn.functional.scaled_dot_product_attention(grouped.to_type(ScalarType.Float32), keys, values, mask).view(query.shape).to_type(query.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>[B, K, T, D/H] → [B, K · times, T, D/H], each head as often one after the other; the fused kernel wants as many as there are queries.</summary>
    private static Tensor Repeat(Tensor heads, long times) => times == 1 ? heads : heads.repeat_interleave(times, 1);
}
