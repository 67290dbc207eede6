using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Gpt2;

/// <summary>Sizes and ids of a new GPT-2 model.</summary>
public sealed record Gpt2Configuration
{
    /// <summary>V.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>The most tokens of a row.</summary>
    public required int ContextLength { get; init; }

    /// <summary>D.</summary>
    public required int Width { get; init; }

    /// <summary>L.</summary>
    public required int Layers { get; init; }

    /// <summary>H; divides <see cref="Width"/>.</summary>
    public required int Heads { get; init; }

    /// <summary>Id of the token that begins a text.</summary>
    public int? BosId { get; init; }

    /// <summary>Id of the token that ends a text.</summary>
    public int? EosId { get; init; }

    /// <summary>Id that fills up batches in other tools; here nothing depends on it, except that a classifier passes over it at the end of a row.</summary>
    public int? PadId { get; init; }

    /// <summary>The settings as <c>config.json</c> has them.</summary>
    public ModelConfiguration ToModelConfiguration() => new(
        new JsonObject
        {
            ["model_type"] = Gpt2Family.Type,
            ["architectures"] = new JsonArray("GPT2LMHeadModel"),
            ["vocab_size"] = Vocabulary,
            ["n_positions"] = ContextLength,
            ["n_embd"] = Width,
            ["n_layer"] = Layers,
            ["n_head"] = Heads,
            ["n_inner"] = null,
            ["activation_function"] = "gelu_new",
            ["layer_norm_epsilon"] = 1e-5,
            ["initializer_range"] = 0.02,
            // Training here runs without dropout, and so does a tool that reads these.
            ["attn_pdrop"] = 0.0,
            ["embd_pdrop"] = 0.0,
            ["resid_pdrop"] = 0.0,
            ["scale_attn_weights"] = true,
            ["tie_word_embeddings"] = true,
            ["use_cache"] = true,
            ["bos_token_id"] = BosId,
            ["eos_token_id"] = EosId,
            ["pad_token_id"] = PadId,
        },
        "the settings of the new GPT-2 model");
}

/// <summary>What the modules need to know, read from <c>config.json</c>. Its keys are the same in transformers 4 and 5 but for the type of the stored numbers, which the weights say themselves.</summary>
internal sealed record Gpt2Settings(int Vocabulary, int Context, int Width, int Layers, int Heads, int Inner, double Epsilon, double InitialDeviation, bool TiedHead, Func<Tensor, Tensor> Activation)
{
    public LanguageModelShape Shape => new(Vocabulary, Width, Context);

    public static Gpt2Settings Read(ModelConfiguration configuration)
    {
        configuration.RequireFlag("scale_attn_weights", true);
        configuration.RequireFlag("scale_attn_by_inverse_layer_idx", false);
        configuration.RequireFlag("add_cross_attention", false);
        var width = configuration.Size("n_embd");
        var heads = configuration.Size("n_head");
        if (width % heads != 0) throw configuration.Fault("n_head", $"is {heads}, which doesn't divide n_embd = {width}");
        return new Gpt2Settings(
            configuration.Size("vocab_size"),
            configuration.Size("n_positions"),
            width,
            configuration.Size("n_layer"),
            heads,
            configuration.OptionalSize("n_inner") ?? 4 * width,
            configuration.Positive("layer_norm_epsilon", formatDefault: 1e-5),
            configuration.Positive("initializer_range", formatDefault: 0.02),
            configuration.Flag("tie_word_embeddings", formatDefault: true),
            Blocks.Activation.Read(configuration, "activation_function", formatDefault: "gelu_new"));
    }
}
