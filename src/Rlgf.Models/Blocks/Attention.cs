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
internal sealed class CausalAttention : IAttention
{
    public static readonly CausalAttention Instance = new();

    public Tensor Attend(int layer, Tensor query, Tensor key, Tensor value) => nn.functional.scaled_dot_product_attention(query, key, value, is_casual: true);
}
