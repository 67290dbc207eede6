using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Base;

namespace Rlgf.Models.Checkpoints;

/// <summary>The sizes in a <c>config.json</c>, whatever the family calls them.</summary>
internal static class ConfiguredSizes
{
    /// <summary>Keys for a number of layers.</summary>
    public static readonly string[] LayerKeys = ["num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers"];

    /// <summary>Keys for layers of a decoder beside an encoder.</summary>
    public static readonly string[] DecoderLayerKeys = ["num_decoder_layers", "decoder_layers"];

    /// <summary>Keys for D.</summary>
    public static readonly string[] WidthKeys = ["hidden_size", "n_embd", "d_model", "dim"];

    /// <summary>Keys for H.</summary>
    public static readonly string[] HeadKeys = ["num_attention_heads", "n_head", "num_heads", "n_heads", "encoder_attention_heads"];

    /// <summary>Keys for the most tokens of a row.</summary>
    public static readonly string[] ContextKeys = ["max_position_embeddings", "n_positions", "n_ctx"];

    private static readonly string[] InnerKeys = ["intermediate_size", "n_inner", "d_ff", "ffn_dim", "hidden_dim", "encoder_ffn_dim", "decoder_ffn_dim", "head_dim", "d_kv", "vocab_size"];

    /// <summary>The first of several keys that is there with a positive whole number; null for none.</summary>
    public static int? First(JsonObject configuration, IEnumerable<string> keys)
    {
        foreach (var key in keys)
        {
            if (configuration[key] is JsonValue value && value.GetValueKind() == JsonValueKind.Number && value.TryGetValue<int>(out var size) && size > 0) return size;
        }

        return null;
    }

    /// <summary>Whether a model of these sizes is made at once, whatever they are of: it has no values yet, and its parameters take no memory until they do.</summary>
    public static bool AreModest(ModelConfiguration configuration)
    {
        var json = configuration.ToJson();
        return LayerKeys.Concat(DecoderLayerKeys).All(key => First(json, [key]) is null or <= 512) && WidthKeys.Concat(HeadKeys).Concat(ContextKeys).Concat(InnerKeys).All(key => First(json, [key]) is null or <= 1 << 18);
    }

    /// <summary>
    /// Refuses sizes that are far beyond those of the stored tensors, before anything is made of that size. What is merely wrong is found when shapes are compared, with a better message.
    /// </summary>
    /// <exception cref="InputException">A number of layers is above the number of tensors, or a size 16 times the longest side of any.</exception>
    public static void RequireLikely(ModelConfiguration configuration, Checkpoint checkpoint)
    {
        var json = configuration.ToJson();
        var tensors = checkpoint.Names.Count;
        foreach (var key in LayerKeys.Concat(DecoderLayerKeys))
        {
            if (First(json, [key]) is { } layers && layers > tensors) throw configuration.Fault(key, $"is {layers}, and the weights are {tensors} tensors");
        }

        var longest = checkpoint.Names.SelectMany(name => checkpoint.Entry(name).Shape).DefaultIfEmpty(1).Max();
        foreach (var key in WidthKeys.Concat(HeadKeys).Concat(InnerKeys))
        {
            if (First(json, [key]) is { } size && size / 16 > longest) throw configuration.Fault(key, $"is {size}, and no side of a stored tensor is longer than {longest}");
        }
    }
}
