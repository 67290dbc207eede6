using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Falcon, the first (Almazrouei et al. 2023): heads that share one key or few, attention and network side by side, rotation; or in its RefinedWeb form all in turn with ALiBi.</summary>
internal static class FalconFamily
{
    public static DecoderFamily Instance { get; } = new("falcon", "Falcon", Read) { Rotary = RotaryKeys.Llama };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        var width = configuration.Size("hidden_size");
        var heads = configuration.Size("num_attention_heads");
        var headSize = DecoderSettings.WidthPerHead(configuration, "hidden_size", width, "num_attention_heads", heads);
        var epsilon = configuration.Positive("layer_norm_epsilon", formatDefault: 1e-5);
        var bias = configuration.Flag("bias", formatDefault: false);
        var isNew = configuration.Flag("new_decoder_architecture", formatDefault: false);
        var isParallel = isNew || configuration.Flag("parallel_attn", formatDefault: true);
        var hasTwoNorms = isNew && (configuration.OptionalSize("num_ln_in_parallel_attn") ?? 2) == 2;
        var keyHeads = isNew ? configuration.OptionalSize("num_kv_heads") ?? heads : configuration.Flag("multi_query", formatDefault: true) ? 1 : heads;
        if (heads % keyHeads != 0) throw configuration.Fault("num_kv_heads", $"is {keyHeads}, which doesn't divide num_attention_heads = {heads}");
        var hasAlibi = configuration.Flag("alibi", formatDefault: false);
        return new DecoderSettings
        {
            Vocabulary = configuration.Size("vocab_size"),
            Context = configuration.OptionalSize("max_position_embeddings") ?? 2048,
            Width = width,
            Layers = configuration.Size("num_hidden_layers"),
            Attention = new AttentionSettings
            {
                Heads = heads,
                KeyValueHeads = keyHeads,
                HeadSize = headSize,
                Rotary = hasAlibi ? null : RotarySettings.Read(configuration, headSize),
                // It is added before scores are scaled, and was rounded where these models were trained.
                Alibi = hasAlibi ? new AlibiSettings(AlibiSettings.SlopesOf(heads), 1 / Math.Sqrt(headSize), Rounded: true) : null,
                Layout = QueryKeyValueLayout.FusedByHead,
                QueryKeyValueBias = bias,
                OutputBias = bias,
            },
            Network = new FeedForwardSettings { Inner = configuration.OptionalSize("ffn_hidden_size") ?? 4 * width, Activation = Activation.Read(configuration, "activation", formatDefault: "gelu"), Bias = bias },
            Norm = (size, device) => new LayerNorm(size, epsilon, device),
            ParallelResidual = isParallel,
            TiedHead = configuration.Flag("tie_word_embeddings", formatDefault: true),
            InitialDeviation = configuration.Positive("initializer_range", formatDefault: 0.02),
            Names = new DecoderNames
            {
                Trunk = "transformer",
                TokenEmbedding = "word_embeddings",
                Layers = "h",
                FinalNorm = "ln_f",
                AttentionNorm = hasTwoNorms ? "ln_attn" : "input_layernorm",
                Attention = "self_attention",
                QueriesKeysValues = ["query_key_value"],
                AttentionOutput = "dense",
                NetworkNorm = hasTwoNorms ? "ln_mlp" : isParallel ? null : "post_attention_layernorm",
                Network = ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
            },
        };
    }
}
