using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>BLOOM (Le Scao et al. 2022): ALiBi in place of positions, and a norm of the embeddings.</summary>
internal static class BloomFamily
{
    public static DecoderFamily Instance { get; } = new("bloom", "Bloom", Read);

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        configuration.RequireFlag("apply_residual_connection_post_layernorm", false);
        var widthKey = configuration.OptionalSize("hidden_size") is null ? "n_embed" : "hidden_size";
        var headsKey = configuration.OptionalSize("n_head") is null ? "num_attention_heads" : "n_head";
        var layersKey = configuration.OptionalSize("n_layer") is null ? "num_hidden_layers" : "n_layer";
        var width = configuration.Size(widthKey);
        var heads = configuration.Size(headsKey);
        var epsilon = configuration.Positive("layer_norm_epsilon", formatDefault: 1e-5);
        return new DecoderSettings
        {
            Vocabulary = configuration.Size("vocab_size"),
            // Biases go on for any position.
            Context = int.MaxValue,
            Width = width,
            Layers = configuration.Size(layersKey),
            Attention = new AttentionSettings
            {
                Heads = heads,
                KeyValueHeads = heads,
                HeadSize = DecoderSettings.WidthPerHead(configuration, widthKey, width, headsKey, heads),
                Alibi = new AlibiSettings(AlibiSettings.SlopesOf(heads)),
                Layout = QueryKeyValueLayout.FusedByHead,
                QueryKeyValueBias = true,
                OutputBias = true,
            },
            Network = new FeedForwardSettings { Inner = 4 * width, Activation = Activation.TanhGelu, Bias = true },
            Norm = (size, device) => new LayerNorm(size, epsilon, device),
            TiedHead = configuration.Flag("tie_word_embeddings", formatDefault: true),
            InitialDeviation = configuration.Positive("initializer_range", formatDefault: 0.02),
            Names = new DecoderNames
            {
                Trunk = "transformer",
                TokenEmbedding = "word_embeddings",
                EmbeddingNorm = "word_embeddings_layernorm",
                Layers = "h",
                FinalNorm = "ln_f",
                Attention = "self_attention",
                QueriesKeysValues = ["query_key_value"],
                AttentionOutput = "dense",
                Network = ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
            },
        };
    }
}
