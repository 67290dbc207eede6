using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>OPT (Zhang et al. 2022): learned positions, of which the first two are those of padding.</summary>
internal static class OptFamily
{
    private const int PaddingPositions = 2;

    public static DecoderFamily Instance { get; } = new("opt", "OPT", Read);

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        configuration.RequireFlag("do_layer_norm_before", true);
        configuration.RequireFlag("layer_norm_elementwise_affine", true);
        configuration.RequireFlag("_remove_final_layer_norm", false);
        var width = configuration.Size("hidden_size");
        if (configuration.OptionalSize("word_embed_proj_dim") is { } embedding && embedding != width)
            throw configuration.Fault("word_embed_proj_dim", $"is {embedding} and hidden_size {width}: embeddings of another width aren't supported");
        var heads = configuration.Size("num_attention_heads");
        var bias = configuration.Flag("enable_bias", formatDefault: true);
        return new DecoderSettings
        {
            Vocabulary = configuration.Size("vocab_size"),
            Context = configuration.Size("max_position_embeddings"),
            Width = width,
            Layers = configuration.Size("num_hidden_layers"),
            Attention = new AttentionSettings
            {
                Heads = heads,
                KeyValueHeads = heads,
                HeadSize = DecoderSettings.WidthPerHead(configuration, "hidden_size", width, "num_attention_heads", heads),
                QueryKeyValueBias = bias,
                OutputBias = bias,
            },
            Network = new FeedForwardSettings { Inner = configuration.Size("ffn_dim"), Activation = Activation.Read(configuration, "activation_function", formatDefault: "relu"), Bias = bias },
            // Not in the configuration.
            Norm = (size, device) => new LayerNorm(size, 1e-5, device),
            FirstPosition = PaddingPositions,
            TiedHead = configuration.Flag("tie_word_embeddings", formatDefault: true),
            InitialDeviation = configuration.Positive("init_std", formatDefault: 0.02),
            Names = new DecoderNames
            {
                Trunk = "model.decoder",
                PositionEmbedding = "embed_positions",
                FinalNorm = "final_layer_norm",
                AttentionNorm = "self_attn_layer_norm",
                AttentionOutput = "out_proj",
                NetworkNorm = "final_layer_norm",
                Network = ["fc1", "fc2"],
            },
        };
    }
}
