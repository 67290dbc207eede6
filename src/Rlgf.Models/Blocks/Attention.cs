using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// Who sees whom. A block of any family computes its queries, keys and values and leaves the rest to this: training looks at whole rows, decoding at a cache.
/// </summary>
internal interface IAttention
{
    /// <summary>Attends.</summary>
    /// <param name="layer">Number of the layer, from 0.</param>
    /// <param name="query">[B, H, T, D/H] of the model's type, any strides.</param>
    /// <param name="key">[B, K, T, D/H]: of the same tokens as the queries. K heads, each for H/K neighbouring queries.</param>
    /// <param name="value">[B, K, T, D/H].</param>
    /// <param name="scores">How scores are made; its bias is [B or 1, H, T or 1, C] with C = <see cref="PastColumns"/> + T.</param>
    /// <returns>[B, H, T, D/H] of the same type.</returns>
    Tensor Attend(int layer, Tensor query, Tensor key, Tensor value, in Scores scores = default);

    /// <summary>Positions of the keys in their rows, of those before this pass too.</summary>
    /// <param name="columns">T: columns of this pass.</param>
    /// <returns>[B or 1, 1, 1, <see cref="PastColumns"/> + T] float32; 0 where a column is padding.</returns>
    Tensor KeyPositions(int columns);

    /// <summary>What layers that don't attend keep of the tokens before this pass; null where rows are read from their beginning, without padding on their left.</summary>
    RecurrentStates? States => null;

    /// <summary>Tokens of the longest row, those of this pass included: what a rotation that depends on the length looks at.</summary>
    int Longest { get; }

    /// <summary>How many columns stand before the queries' own and are seen too.</summary>
    int PastColumns { get; }

    /// <summary>The same with tensors of its own, which belong to the caller's scope: for what is computed again when those of this one are gone. Not for a cache, from which nothing is learned.</summary>
    IAttention Anew();
}

/// <summary>How a layer makes its scores. As it stands: q · k / √(D/H) for all tokens up to a token's own.</summary>
/// <param name="Window">How many tokens a token sees, itself included: the last ones or, where those after it are seen too, as many on either side; null for all.</param>
/// <param name="Scale">What q · k is multiplied by; null for 1 / √(D/H).</param>
/// <param name="Cap">c: a score s becomes c · tanh(s / c); null for none (Bello et al. 2016, "Neural combinatorial optimization").</param>
/// <param name="Bias">[B or 1, H, T or 1, C] float32, added to the scores; null for none.</param>
/// <param name="Sinks">[H]: one more score of each head, for no token (Xiao et al. 2023, "Efficient streaming language models with attention sinks"); null for none.</param>
internal readonly record struct Scores(int? Window = null, double? Scale = null, double? Cap = null, Tensor? Bias = null, Tensor? Sinks = null)
{
    /// <summary>Whether the library's fused kernel can't make them.</summary>
    public bool AreOwn => Cap is not null || Sinks is not null;

    /// <summary>What q · k is multiplied by.</summary>
    /// <param name="size">D/H.</param>
    public float ScaleOf(long size) => (float)(Scale ?? 1 / Math.Sqrt(size));
}

/// <summary>Positions of tokens in their rows.</summary>
/// <param name="Values">[B·T] int64.</param>
/// <param name="Limit">A number above all of them.</param>
internal readonly record struct TokenPositions(Tensor Values, int Limit);

/// <summary>
/// Each token sees itself and those before it in its row. Rows must be padded on the right, where a mask has nothing to do: no real token sees padding.
/// </summary>
/// <param name="columns">T.</param>
/// <param name="windows">The windows that layers ask with, null for none; their masks belong to the caller's scope.</param>
/// <param name="device">Where.</param>
/// <param name="longest">Tokens of the longest row; T where it isn't said.</param>
internal sealed class CausalAttention(int columns, IReadOnlyList<int?> windows, Device device, int? longest = null) : IAttention
{
    private readonly (int? Window, Tensor? Mask)[] _masks = [.. windows.Select(window => (window, ScaledDotProduct.CausalMask(columns, window, device)))];

    public int PastColumns => 0;

    public int Longest => longest ?? columns;

    public IAttention Anew() => new CausalAttention(columns, windows, device, longest);

    public Tensor Attend(int layer, Tensor query, Tensor key, Tensor value, in Scores scores = default) => ScaledDotProduct.Attend(query, key, value, Mask(scores.Window), scores);

    public Tensor KeyPositions(int _) => TensorNumbers.Range(columns, device).to_type(ScalarType.Float32).view(1, 1, 1, -1);

    private Tensor? Mask(int? window)
    {
        foreach (var (of, mask) in _masks)
        {
            if (of == window) return mask;
        }

        throw new InvalidOperationException($"A layer asks with a window of {window}, of which nothing was said.");
    }
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
    /// <param name="key">[B, K, C, D/H]: keys of what is seen, C = T unless there is a mask, each of the K heads for H/K neighbouring queries.</param>
    /// <param name="value">[B, K, C, D/H]: values of the same tokens.</param>
    /// <param name="mask">Added to the scores, float32, [T, C] or broadcast to [B, 1, T, C]; null for the causal one, with rows that are not short.</param>
    /// <param name="scores">How scores are made; its window is in the mask.</param>
    public static Tensor Attend(Tensor query, Tensor key, Tensor value, Tensor? mask, in Scores scores = default)
    {
        long heads = query.size(1), columns = query.size(2), size = query.size(3), group = heads / key.size(1);
        using var scope = NewDisposeScope();
        if (key.size(2) <= LongestShort) return Weigh(query, key, value, mask, scores).MoveToOuterDisposeScope();
        if (scores.AreOwn) return Weigh(query, key, value, mask ?? FutureMask((int)columns, null, query.device), scores).MoveToOuterDisposeScope();
        if (scores.Bias is not null) mask = (mask ?? FutureMask((int)columns, null, query.device)).Add(scores.Bias);
        // The kernel's own scale is 1 / √(D/H).
        if (scores.Scale is { } scale) query = query.Multiply((float)(scale * Math.Sqrt(size)));
        return nn.functional.scaled_dot_product_attention(query.to_type(value.dtype), Repeat(key.to_type(value.dtype), group), Repeat(value, group), mask?.to_type(value.dtype), is_casual: mask is null)
            .to_type(query.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Attends from one token of each row to all that is cached.</summary>
    /// <param name="query">[B, H, 1, D/H] float32, any strides.</param>
    /// <param name="keys">[B, K, C, D/H] float32: each of the K heads for H/K neighbouring queries.</param>
    /// <param name="values">[B, K, C, D/H] float32.</param>
    /// <param name="mask">Added to the scores, broadcast to [B, H, 1, C]; null for none.</param>
    /// <param name="scores">How scores are made; its window and its bias are in the mask.</param>
    public static Tensor AttendFromOne(Tensor query, Tensor keys, Tensor values, Tensor? mask, in Scores scores = default)
    {
        if (!scores.AreOwn && OneTokenAttention.Fits(query, keys, values, mask)) return OneTokenAttention.Attend(query, keys, values, mask, scores.ScaleOf(query.size(3)));

        // Its many small products of one row go to MKL: through oneDNN it is five times slower (28 rows, 12 heads of 64, 88 columns).
        using var small = FastFloat32Products.Suspend();
        using var scope = NewDisposeScope();

        if (scores.AreOwn) return (mask?.size(1) > 1 ? Weigh(query, keys, values, null, scores with { Bias = mask }) : Weigh(query, keys, values, mask, scores with { Bias = null })).MoveToOuterDisposeScope();
        if (scores.Scale is { } scale) query = query.Multiply((float)(scale * Math.Sqrt(query.size(3))));
        if (mask?.size(1) > 1) mask = mask.reshape(mask.size(0), keys.size(1), -1, mask.size(3));

        // Heads that share keys ask as more rows of one head.
        var grouped = query.size(1) == keys.size(1) ? query : query.reshape(query.size(0), keys.size(1), -1, query.size(3));
        return nn.functional.scaled_dot_product_attention(grouped.to_type(ScalarType.Float32), keys, values, mask).view(query.shape).to_type(query.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>The definition, by whole products. [B, H, T, D/H], [B, K, C, D/H], [B, K, C, D/H] → [B, H, T, D/H] of the query's type; the mask is [T, C] or broadcast to [B, 1, T, C].</summary>
    private static Tensor Weigh(Tensor query, Tensor key, Tensor value, Tensor? mask, in Scores how)
    {
        long rows = query.size(0), heads = query.size(1), columns = query.size(2), size = query.size(3), keyHeads = key.size(1), group = heads / keyHeads;
        // Scores have many digits before the point where one counts behind it: they are float32, as the fused kernel's own are.
        var type = query.dtype;
        (query, key, value) = (query.to_type(ScalarType.Float32), key.to_type(ScalarType.Float32), value.to_type(ScalarType.Float32));
        // Heads that share keys ask as more rows of one product.
        if (group > 1) query = query.reshape(rows, keyHeads, group * columns, size);
        var scores = query.Multiply(how.ScaleOf(size)).matmul(key.transpose(2, 3));
        if (how.Cap is { } cap) scores = scores.Divide(cap).tanh().Multiply(cap);
        if (mask is not null) scores.AddInPlace(group == 1 ? mask : mask.dim() == 2 ? mask.repeat(group, 1) : mask.repeat(1, 1, group, 1));
        if (how.Bias is { } bias) scores.AddInPlace(group == 1 ? bias : bias.expand(-1, -1, columns, -1).reshape(bias.size(0), keyHeads, group * columns, -1));
        var seen = scores.size(3);
        if (how.Sinks is { } sinks) scores = cat([scores, sinks.to_type(ScalarType.Float32).view(1, keyHeads, group, 1).expand(rows, -1, -1, columns).reshape(rows, keyHeads, group * columns, 1)], -1);
        var weights = nn.functional.softmax(scores, -1);
        if (how.Sinks is not null) weights = weights.narrow(3, 0, seen);
        var attended = weights.matmul(value);
        return (group == 1 ? attended : attended.view(rows, heads, columns, size)).to_type(type);
    }

    /// <summary>[B, K, T, D/H] → [B, K · times, T, D/H], each head as often one after the other; the fused kernel wants as many as there are queries.</summary>
    private static Tensor Repeat(Tensor heads, long times) => times == 1 ? heads : heads.repeat_interleave(times, 1);
}
