using System.Globalization;
using System.Text.Json.Nodes;
using Rlgf.Gguf;
using Rlgf.Models.Conversion;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints.Gguf;

/// <summary>Small models whose files have biases on some maps or a stretched rotation, against llama.cpp's log-probabilities (fixtures/gguf/README.md).</summary>
public sealed class GgufValuesTests : IDisposable
{
    private const int Width = 32;
    private const int Vocabulary = 258;

    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public GgufValuesTests() => TorchRuntime.Load();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("plain", "", null)]
    [InlineData("query_key_value_biases", "attn_q attn_k attn_v", null)]
    [InlineData("output_bias", "attn_output", null)]
    [InlineData("all_biases", "attn_q attn_k attn_v attn_output", null)]
    [InlineData("scale_linear", "", "rope.scale_linear")]
    [InlineData("scaling_factor_without_type", "", "rope.scaling.factor")]
    [InlineData("scaling_none", "", "rope.scaling.factor none")]
    public void A_converted_model_computes_what_llama_cpp_computes(string @case, string biases, string? scaling)
    {
        var writer = new GgufWriter();
        if (scaling is not null) writer.Number($"llama.{scaling.Split(' ')[0]}", 4);
        if (scaling?.EndsWith(" none", StringComparison.Ordinal) == true) writer.Text("llama.rope.scaling.type", "none");
        File.WriteAllBytes(_folder.File("model.gguf"), Write(writer, biases.Split(' ', StringSplitOptions.RemoveEmptyEntries)).ToArray());
        GgufConversion.Convert(_folder.File("model.gguf"), _folder.File("converted"), ScalarType.Float32);

        using var gradients = no_grad();
        using var model = LanguageModelFolder.Load(_folder.File("converted"));
        foreach (var row in JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "gguf", "values.json")))![@case]!.AsArray())
        {
            int[] ids = [.. row!["ids"]!.AsArray().Select(id => (int)id!)];
            // One more id, so that the prompt's last is followed by a prediction.
            var logProbs = model.Logits(model.ResponseStates([new TokenRow(ids, [0])])).log_softmax(-1)[0, 0];
            foreach (var top in row["top"]!.AsArray()) Assert.Equal((double)top![1]!, logProbs[(int)top[0]!].item<float>(), 2e-4);
        }
    }

    private static GgufWriter Write(GgufWriter writer, string[] biases)
    {
        writer.Text("general.architecture", "llama").Whole("llama.block_count", 1).Whole("llama.context_length", 256).Whole("llama.embedding_length", Width).Whole("llama.feed_forward_length", Width)
            .Whole("llama.attention.head_count", 2).Whole("llama.attention.head_count_kv", 2).Number("llama.attention.layer_norm_rms_epsilon", 1e-5f)
            .Text("tokenizer.ggml.model", "gpt2").Text("tokenizer.ggml.pre", "gpt-2").Texts("tokenizer.ggml.merges", []).Whole("tokenizer.ggml.bos_token_id", 256).Whole("tokenizer.ggml.eos_token_id", 257)
            .Texts("tokenizer.ggml.tokens", [.. Enumerable.Range(0, 256).Select(id => string.Create(CultureInfo.InvariantCulture, $"x{id};")), "<s>", "</s>"])
            .Floats("token_embd.weight", [Vocabulary, Width], Numbers(1, Vocabulary * Width, 1)).Floats("output_norm.weight", [Width], Numbers(2, Width, 0.3, 1));
        string[] maps = ["attn_norm", "ffn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
        for (var i = 0; i < maps.Length; i++)
        {
            var isNorm = maps[i].EndsWith("norm", StringComparison.Ordinal);
            writer.Floats($"blk.0.{maps[i]}.weight", isNorm ? [Width] : [Width, Width], isNorm ? Numbers(3 + i, Width, 0.3, 1) : Numbers(3 + i, Width * Width, 0.5));
        }

        for (var i = 0; i < biases.Length; i++) writer.Floats($"blk.0.{biases[i]}.bias", [Width], Numbers(20 + i, Width, 1));
        return writer;
    }

    /// <summary>Numbers that look random and follow from their index: base ± scale.</summary>
    private static float[] Numbers(int seed, int count, double scale, double @base = 0) => [.. Enumerable.Range(0, count).Select(i =>
    {
        var hash = unchecked((uint)i * 2654435761u + (uint)seed * 40503u);
        hash = unchecked((hash ^ hash >> 15) * 2246822519u);
        return (float)(@base + scale * ((hash ^ hash >> 13) / 2147483648.0 - 1));
    })];
}
