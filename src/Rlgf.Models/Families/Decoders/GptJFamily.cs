using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>GPT-J (Wang and Komatsuzaki 2021): neighbouring numbers are rotated, and attention and network read one norm.</summary>
internal static class GptJFamily
{
    private const double RotaryBase = 10_000;

    public static DecoderFamily Instance { get; } = new("gptj", "GPTJ", Read);

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        // Its own head has a shift, for which a tied one has no place.
        configuration.RequireFlag("tie_word_embeddings", false);
        var width = configuration.Size("n_embd");
        var heads = configuration.Size("n_head");
        var headSize = DecoderSettings.WidthPerHead(configuration, "n_embd", width, "n_head", heads);
        var rotated = configuration.Size("rotary_dim");
        if (rotated > headSize || rotated % 2 != 0) throw configuration.Fault("rotary_dim", $"is {rotated}: it must be even and at most the {headSize} numbers of a head");
        var epsilon = configuration.Positive("layer_norm_epsilon", formatDefault: 1e-5);
        return new DecoderSettings
        {
            Vocabulary = configuration.Size("vocab_size"),
            Context = configuration.Size("n_positions"),
            Width = width,
            Layers = configuration.Size("n_layer"),
            Attention = new AttentionSettings { Heads = heads, KeyValueHeads = heads, HeadSize = headSize, Rotary = new RotarySettings(RotarySettings.Plain(RotaryBase, rotated), Interleaved: true) },
            Network = new FeedForwardSettings { Inner = configuration.OptionalSize("n_inner") ?? 4 * width, Activation = Activation.Read(configuration, "activation_function", formatDefault: "gelu_new"), Bias = true },
            Norm = (size, device) => new LayerNorm(size, epsilon, device),
            ParallelResidual = true,
            TiedHead = false,
            HeadBias = true,
            InitialDeviation = configuration.Positive("initializer_range", formatDefault: 0.02),
            Names = new DecoderNames
            {
                Trunk = "transformer",
                TokenEmbedding = "wte",
                Layers = "h",
                FinalNorm = "ln_f",
                AttentionNorm = "ln_1",
                NetworkNorm = null,
                Attention = "attn",
                AttentionOutput = "out_proj",
                Network = ["mlp.fc_in", "mlp.fc_out"],
            },
        };
    }
}
