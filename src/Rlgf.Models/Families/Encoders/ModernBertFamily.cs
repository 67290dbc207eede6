using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.Decoders;
using TorchSharp;
using static TorchSharp.torch;
using LayerNorm = Rlgf.Models.Blocks.LayerNorm;

namespace Rlgf.Models.Families.Encoders;

/// <summary>ModernBERT (Warner et al. 2024): a decoder's blocks whose tokens see both sides, in most layers only those near by.</summary>
internal static class ModernBertFamily
{
    private const string Parameters = "rope_parameters";

    private static readonly DecoderNames Names = new()
    {
        TokenEmbedding = "embeddings.tok_embeddings",
        EmbeddingNorm = "embeddings.norm",
        FinalNorm = "final_norm",
        AttentionNorm = "attn_norm",
        Attention = "attn",
        QueriesKeysValues = ["Wqkv"],
        AttentionOutput = "Wo",
        NetworkNorm = "mlp_norm",
        Network = ["mlp.Wi", "mlp.Wo"],
    };

    private static readonly (string Type, RotaryKeys Keys) Full = (LayerTypes.Full, RotaryKeys.Llama with { BaseKey = "global_rope_theta", FormatBase = 160_000 });
    private static readonly (string Type, RotaryKeys Keys) Sliding = (LayerTypes.Sliding, RotaryKeys.Llama with { BaseKey = "local_rope_theta" });

    public static EncoderFamily Instance { get; } = new(
        "modernbert", "ModernBert",
        new EncoderNames("model", "head.dense", "classifier", "decoder.weight") { HeadNorm = "head.norm", TokenEmbedding = Names.TokenEmbedding, InTrunk = ["embeddings", "layers", "final_norm"] },
        configuration =>
        {
            var settings = Read(configuration);
            return new EncoderParts(device => new PreNormEncoder(settings, device), Head(configuration, settings));
        })
    {
        WriteForOtherReaders = (configuration, json) =>
        {
            var parameters = new JsonObject();
            foreach (var (type, keys) in new[] { Full, Sliding })
            {
                var rotary = Rotary(configuration, (type, keys));
                parameters[type] = new JsonObject { ["rope_type"] = "default", ["rope_theta"] = RotarySetting.Decimal(rotary.Base) };
                json[keys.BaseKey] = RotarySetting.Decimal(rotary.Base);
            }

            json[Parameters] = parameters;
            json["layer_types"] = new JsonArray([.. Types(configuration).Select(type => (JsonNode)type)]);
        },
    };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        var width = configuration.Size("hidden_size");
        var heads = configuration.Size("num_attention_heads");
        var headSize = DecoderSettings.WidthPerHead(configuration, "hidden_size", width, "num_attention_heads", heads);
        var attentionBias = configuration.Flag("attention_bias", formatDefault: false);
        var full = new AttentionSettings
        {
            Heads = heads,
            KeyValueHeads = heads,
            HeadSize = headSize,
            Layout = QueryKeyValueLayout.Fused,
            QueryKeyValueBias = attentionBias,
            OutputBias = attentionBias,
            Rotary = RotarySettings.Make(configuration, headSize, Rotary(configuration, Full), Full.Keys),
        };
        var sliding = full with
        {
            // Half of it to each side, and the token itself.
            Window = (configuration.OptionalSize("local_attention") ?? 128) / 2 * 2 + 1,
            Rotary = RotarySettings.Make(configuration, headSize, Rotary(configuration, Sliding), Sliding.Keys),
        };
        return new DecoderSettings
        {
            Vocabulary = configuration.Size("vocab_size"),
            Context = configuration.Size("max_position_embeddings"),
            Width = width,
            Layers = configuration.Size("num_hidden_layers"),
            Attention = full,
            Mixers = [.. Types(configuration).Select(type => type == LayerTypes.Full ? full : sliding)],
            Network = new FeedForwardSettings
            {
                Inner = configuration.Size("intermediate_size"),
                Layout = NetworkLayout.FusedGated,
                Activation = Activation.Read(configuration, "hidden_activation", formatDefault: "gelu"),
                Bias = configuration.Flag("mlp_bias", formatDefault: false),
            },
            Norm = (size, device) => Norm(configuration, size, device),
            FirstLayerReadsEmbeddingNorm = true,
            // The trunk alone has no head.
            TiedHead = true,
            InitialDeviation = configuration.Positive("initializer_range", formatDefault: 0.02),
            Names = Names,
        };
    }

    private static EncoderHead Head(ModelConfiguration configuration, DecoderSettings settings)
    {
        const string poolingKey = "classifier_pooling";
        var pooling = configuration.Text(poolingKey) ?? "cls";
        if (pooling is not ("cls" or "mean")) throw configuration.Fault(poolingKey, $"is '{pooling}': supported are cls and mean");
        return new EncoderHead(settings.Width, Activation.Read(configuration, "classifier_activation", formatDefault: "gelu").Forward, settings.InitialDeviation)
        {
            ReadsMean = pooling == "mean",
            InnerBias = configuration.Flag("classifier_bias", formatDefault: false),
            Norm = device => Norm(configuration, settings.Width, device),
        };
    }

    private static LayerNorm Norm(ModelConfiguration configuration, int width, Device device) =>
        new(width, configuration.Positive("norm_eps", formatDefault: 1e-5), device, configuration.Flag("norm_bias", formatDefault: false));

    /// <summary>Of layers of one type: transformers 5 has a section for each, 4 a key.</summary>
    private static RotarySetting Rotary(ModelConfiguration configuration, (string Type, RotaryKeys Keys) layers)
    {
        var section = configuration.Section(Parameters)?.Section(layers.Type);
        return new RotarySetting(section?.OptionalPositive("rope_theta") ?? configuration.Positive(layers.Keys.BaseKey, layers.Keys.FormatBase), 1, section);
    }

    private static IReadOnlyList<string> Types(ModelConfiguration configuration)
    {
        var every = configuration.OptionalSize("global_attn_every_n_layers") ?? 3;
        return LayerTypes.Read(configuration, [LayerTypes.Sliding, LayerTypes.Full], layer => layer % every == 0 ? LayerTypes.Full : LayerTypes.Sliding);
    }
}
