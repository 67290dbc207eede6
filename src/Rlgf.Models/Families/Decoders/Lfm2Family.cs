using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>LFM2 (Liquid AI 2025): short convolutions in most layers, attention with normalised queries and keys in the others.</summary>
internal static class Lfm2Family
{
    private const string Convolution = "conv";
    private const string TypesKey = "layer_types";
    private const string OlderTypesKey = "full_attn_idxs";

    private static readonly RotaryKeys Keys = RotaryKeys.Llama with { FormatBase = 1_000_000 };

    public static DecoderFamily Instance { get; } = new("lfm2", "Lfm2", Read) { Rotary = Keys, Complete = WithNewerKeys };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        var settings = LlamaFamily.Read(configuration, keys: Keys, formatTiedHead: true);
        var epsilon = configuration.Positive("norm_eps", formatDefault: 1e-5);
        var convolution = new ShortConvolutionSettings(configuration.OptionalSize("conv_L_cache") ?? 3, configuration.Flag("conv_bias", formatDefault: false));
        var attention = settings.Attention with { QueryKeyNorm = QueryKeyNorm.PerHead, QueryKeyValueBias = false, OutputBias = false };
        var types = LayerTypes.Read(configuration, [Convolution, LayerTypes.Full], _ => LayerTypes.Full);
        return settings with
        {
            Attention = attention,
            Mixers = [.. types.Select(type => type == Convolution ? (MixerSettings)convolution : attention)],
            Network = settings.Network with { Inner = Inner(configuration, settings.Network.Inner), Bias = false, Activation = Activation.Silu },
            Norm = (size, device) => new RmsNorm(size, epsilon, fromOne: false, device),
            Names = new DecoderNames
            {
                FinalNorm = "embedding_norm",
                AttentionNorm = "operator_norm",
                NetworkNorm = "ffn_norm",
                AttentionOutput = "out_proj",
                QueryNorm = "q_layernorm",
                KeyNorm = "k_layernorm",
                Network = ["feed_forward.w1", "feed_forward.w3", "feed_forward.w2"],
            },
        };
    }

    /// <summary>Two thirds of the size that is said, times a factor, rounded up; the size itself where that is switched off.</summary>
    private static int Inner(ModelConfiguration configuration, int said)
    {
        if (!configuration.Flag("block_auto_adjust_ff_dim", formatDefault: true)) return said;
        var inner = (int)(configuration.Positive("block_ffn_dim_multiplier", formatDefault: 1) * (2 * said / 3));
        var multiple = configuration.OptionalSize("block_multiple_of") ?? 256;
        return (inner + multiple - 1) / multiple * multiple;
    }

    /// <summary>The first configurations say some things under other names.</summary>
    private static ModelConfiguration WithNewerKeys(ModelConfiguration configuration)
    {
        var json = configuration.ToJson();
        if (json["block_ff_dim"] is { } inner) json["intermediate_size"] = inner.DeepClone();
        if (json["tie_word_embeddings"] is null && json["tie_embedding"] is { } tied) json["tie_word_embeddings"] = tied.DeepClone();
        if (json[TypesKey] is null && json[OlderTypesKey] is not null)
        {
            var layers = configuration.Size("num_hidden_layers");
            var full = configuration.Numbers(OlderTypesKey);
            if (full.FirstOrDefault(layer => layer < 0 || layer >= layers || layer != Math.Floor(layer), -1) is var wrong and not -1) throw configuration.Fault(OlderTypesKey, $"names the layer {wrong}: layers are from 0 to {layers - 1}");
            json[TypesKey] = new JsonArray([.. Enumerable.Range(0, layers).Select(layer => (JsonNode)(full.Contains(layer) ? LayerTypes.Full : Convolution))]);
        }

        return configuration.With(json);
    }
}
