using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>GPT-NeoX (Black et al. 2022), of which Pythia is: rotation of a part of each head, attention and network side by side.</summary>
internal static class GptNeoXFamily
{
    public static DecoderFamily Instance { get; } = new("gpt_neox", "GPTNeoX", Read) { Rotary = RotaryKeys.GptNeoX };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        var width = configuration.Size("hidden_size");
        var heads = configuration.Size("num_attention_heads");
        var headSize = DecoderSettings.WidthPerHead(configuration, "hidden_size", width, "num_attention_heads", heads);
        var epsilon = configuration.Positive("layer_norm_eps", formatDefault: 1e-5);
        var attentionBias = configuration.Flag("attention_bias", formatDefault: true);
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
                HeadSize = headSize,
                Rotary = RotarySettings.Read(configuration, headSize, RotaryKeys.GptNeoX),
                Layout = QueryKeyValueLayout.FusedByHead,
                QueryKeyValueBias = attentionBias,
                OutputBias = attentionBias,
            },
            Network = new FeedForwardSettings { Inner = configuration.Size("intermediate_size"), Activation = Activation.Read(configuration, "hidden_act", formatDefault: "gelu"), Bias = true },
            Norm = (size, device) => new LayerNorm(size, epsilon, device),
            ParallelResidual = configuration.Flag("use_parallel_residual", formatDefault: true),
            TiedHead = configuration.Flag("tie_word_embeddings", formatDefault: false),
            InitialDeviation = configuration.Positive("initializer_range", formatDefault: 0.02),
            Names = new DecoderNames
            {
                Trunk = "gpt_neox",
                TokenEmbedding = "embed_in",
                FinalNorm = "final_layer_norm",
                Head = "embed_out",
                Attention = "attention",
                QueriesKeysValues = ["query_key_value"],
                AttentionOutput = "dense",
                Network = ["mlp.dense_h_to_4h", "mlp.dense_4h_to_h"],
            },
        };
    }
}
