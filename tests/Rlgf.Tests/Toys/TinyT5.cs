using System.Text.Json.Nodes;
using Rlgf.Models;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Loading;

namespace Rlgf.Tests.Toys;

/// <summary>A T5 of one small layer in each half over digits, with random weights: the prompt goes into its encoder.</summary>
internal static class TinyT5
{
    public static ILanguageModel Create(ulong seed) => Create(TinyGpt2.Vocabulary, TinyGpt2.End, seed);

    /// <summary>Makes one whose decoder begins with a certain token.</summary>
    public static ILanguageModel Create(int vocabulary, int start, ulong seed) => LanguageModelFolder.Create(
        new ModelConfiguration(
            new JsonObject
            {
                ["model_type"] = "t5", ["vocab_size"] = vocabulary, ["d_model"] = 16, ["d_kv"] = 8, ["d_ff"] = 32, ["num_layers"] = 1, ["num_heads"] = 2,
                ["relative_attention_num_buckets"] = 8, ["relative_attention_max_distance"] = 16, ["decoder_start_token_id"] = start,
            },
            "the tiny T5"),
        seed);
}
