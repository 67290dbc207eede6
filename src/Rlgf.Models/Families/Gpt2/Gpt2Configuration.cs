using System.Text.Json.Nodes;
using Rlgf.Models.Checkpoints;

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
