using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.Decoders;

namespace Rlgf.Models.Families.Gpt2;

/// <summary>GPT-2 (Radford et al. 2019) and all models of its architecture: learned positions, weights stored [in, out].</summary>
internal static class Gpt2Family
{
    public const string Type = "gpt2";

    public static DecoderFamily Instance { get; } = new(Type, "GPT2", Read)
    {
        // The first files have it beside n_positions, and llama.cpp's converter asks for it.
        WriteForOtherReaders = (configuration, json) => json["n_ctx"] = configuration.Size("n_positions"),
    };

    /// <summary>The keys are the same in transformers 4 and 5 but for the type of the stored numbers, which the weights say themselves.</summary>
    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        configuration.RequireFlag("scale_attn_weights", true);
        configuration.RequireFlag("scale_attn_by_inverse_layer_idx", false);
        var width = configuration.Size("n_embd");
        var heads = configuration.Size("n_head");
        var layers = configuration.Size("n_layer");
        var epsilon = configuration.Positive("layer_norm_epsilon", formatDefault: 1e-5);
        var deviation = configuration.Positive("initializer_range", formatDefault: 0.02);
        return new DecoderSettings
        {
            Vocabulary = configuration.Size("vocab_size"),
            Context = configuration.Size("n_positions"),
            Width = width,
            Layers = layers,
            Attention = new AttentionSettings
            {
                Heads = heads,
                KeyValueHeads = heads,
                HeadSize = DecoderSettings.WidthPerHead(configuration, "n_embd", width, "n_head", heads),
                Layout = QueryKeyValueLayout.Fused,
                QueryKeyValueBias = true,
                OutputBias = true,
            },
            Network = new FeedForwardSettings { Inner = configuration.OptionalSize("n_inner") ?? 4 * width, Activation = Activation.Read(configuration, "activation_function", formatDefault: "gelu_new"), Bias = true },
            Norm = (size, device) => new LayerNorm(size, epsilon, device),
            TransposedWeights = true,
            TiedHead = configuration.Flag("tie_word_embeddings", formatDefault: true),
            InitialDeviation = deviation,
            // Section 2.3 of the paper: each layer adds twice to the residual stream.
            ResidualInitialDeviation = deviation / Math.Sqrt(2 * layers),
            Names = DecoderNames.OfGpt2,
        };
    }
}
