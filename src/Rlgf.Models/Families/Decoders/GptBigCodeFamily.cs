using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>GPT-BigCode (Li et al. 2023), of which StarCoder and SantaCoder are: GPT-2 with weights stored [out, in] and one key and value for all heads.</summary>
internal static class GptBigCodeFamily
{
    public static DecoderFamily Instance { get; } = new("gpt_bigcode", "GPTBigCode", Read);

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        configuration.RequireFlag("scale_attn_weights", true);
        var width = configuration.Size("n_embd");
        var heads = configuration.Size("n_head");
        var epsilon = configuration.Positive("layer_norm_epsilon", formatDefault: 1e-5);
        var isShared = configuration.Flag("multi_query", formatDefault: true);
        return new DecoderSettings
        {
            Vocabulary = configuration.Size("vocab_size"),
            Context = configuration.Size("n_positions"),
            Width = width,
            Layers = configuration.Size("n_layer"),
            Attention = new AttentionSettings
            {
                Heads = heads,
                KeyValueHeads = isShared ? 1 : heads,
                HeadSize = DecoderSettings.WidthPerHead(configuration, "n_embd", width, "n_head", heads),
                Layout = QueryKeyValueLayout.FusedByHead,
                QueryKeyValueBias = true,
                OutputBias = true,
            },
            Network = new FeedForwardSettings { Inner = configuration.OptionalSize("n_inner") ?? 4 * width, Activation = Activation.Read(configuration, "activation_function", formatDefault: "gelu_pytorch_tanh"), Bias = true },
            Norm = (size, device) => new LayerNorm(size, epsilon, device),
            TiedHead = configuration.Flag("tie_word_embeddings", formatDefault: true),
            InitialDeviation = configuration.Positive("initializer_range", formatDefault: 0.02),
            Names = DecoderNames.OfGpt2,
        };
    }
}
