using System.Text.Json.Nodes;
using Rlgf.Models;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Loading;

namespace Rlgf.Bench;

/// <summary>What is measured: a GPT-2 of a given shape with random weights, or a Llama, and the size of its batches.</summary>
/// <param name="Name">Name for tables and files.</param>
/// <param name="Layers">L.</param>
/// <param name="Width">D.</param>
/// <param name="Heads">H.</param>
/// <param name="Vocabulary">V.</param>
/// <param name="Rows">B: rows that are written at once and rows of an iteration.</param>
/// <param name="PromptTokens">P.</param>
/// <param name="ResponseTokens">A.</param>
/// <param name="MinibatchRows">Rows of an optimiser step.</param>
public sealed record Workload(string Name, int Layers, int Width, int Heads, int Vocabulary, int Rows, int PromptTokens, int ResponseTokens, int MinibatchRows)
{
    /// <summary>All workloads.</summary>
    public static IReadOnlyList<Workload> All { get; } =
    [
        new("S", Layers: 6, Width: 256, Heads: 4, Vocabulary: 8192, Rows: 64, PromptTokens: 32, ResponseTokens: 32, MinibatchRows: 32),
        new("gpt2-28", Layers: 12, Width: 768, Heads: 12, Vocabulary: 50257, Rows: 28, PromptTokens: 64, ResponseTokens: 48, MinibatchRows: 28),
        new("gpt2-112", Layers: 12, Width: 768, Heads: 12, Vocabulary: 50257, Rows: 112, PromptTokens: 64, ResponseTokens: 48, MinibatchRows: 28),
        new("llama-100m", Layers: 12, Width: 768, Heads: 12, Vocabulary: 32000, Rows: 28, PromptTokens: 64, ResponseTokens: 48, MinibatchRows: 28) { Llama = (KeyValueHeads: 4, Inner: 2048) },
    ];

    /// <summary>For a Llama, the heads that have keys and the width inside its network; null for a GPT-2.</summary>
    public (int KeyValueHeads, int Inner)? Llama { get; init; }

    /// <summary>A large vocabulary on few layers, 4,096 scored positions a step: what the logits alone take.</summary>
    public static Workload LargeVocabulary { get; } = new("vocabulary-128k", Layers: 2, Width: 768, Heads: 12, Vocabulary: 128256, Rows: 32, PromptTokens: 1, ResponseTokens: 128, MinibatchRows: 32);

    /// <summary>The workloads that a name stands for: one, or all whose name begins with it.</summary>
    public static IReadOnlyList<Workload> Named(string name) =>
        name == LargeVocabulary.Name ? [LargeVocabulary] : [.. All.Where(workload => workload.Name.StartsWith(name, StringComparison.OrdinalIgnoreCase))];

    /// <summary>
    /// Floating-point operations of the products with weights in one forward pass, a multiply-add counted as two: for each token that the layers read 24·L·D² of a GPT-2, and of a Llama whose K of H heads
    /// have keys and whose network is I wide L·(4·D²·(1 + K/H) + 6·D·I), and 2·V·D for each position that logits are computed at. Attention's own products are left out. A backward pass costs twice as much again.
    /// </summary>
    public double ForwardOperations(double tokensRead, double tokensScored)
    {
        var layer = Llama is { } llama ? (4.0 * Width * Width * (1 + ((double)llama.KeyValueHeads / Heads))) + (6.0 * Width * llama.Inner) : 24.0 * Width * Width;
        return (Layers * layer * tokensRead) + (2.0 * Vocabulary * Width * tokensScored);
    }

    /// <summary>A model of this shape.</summary>
    public ILanguageModel NewModel(ulong seed) => LanguageModelFolder.Create(Llama is { } llama ? LlamaConfiguration(llama.KeyValueHeads, llama.Inner) : Gpt2Configuration(), seed);

    private ModelConfiguration Gpt2Configuration() =>
        new Models.Families.Gpt2.Gpt2Configuration { Vocabulary = Vocabulary, ContextLength = PromptTokens + ResponseTokens, Width = Width, Layers = Layers, Heads = Heads }.ToModelConfiguration();

    private ModelConfiguration LlamaConfiguration(int keyValueHeads, int inner) => new(
        new JsonObject
        {
            ["model_type"] = "llama",
            ["architectures"] = new JsonArray("LlamaForCausalLM"),
            ["vocab_size"] = Vocabulary,
            ["max_position_embeddings"] = PromptTokens + ResponseTokens,
            ["hidden_size"] = Width,
            ["num_hidden_layers"] = Layers,
            ["num_attention_heads"] = Heads,
            ["num_key_value_heads"] = keyValueHeads,
            ["intermediate_size"] = inner,
            ["tie_word_embeddings"] = true,
        },
        "the benchmark's Llama");
}
