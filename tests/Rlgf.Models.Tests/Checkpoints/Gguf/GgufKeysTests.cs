using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Models.Conversion;
using Rlgf.Models.Inspection;
using Rlgf.Models.Loading;
using Rlgf.Text;
using Rlgf.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints.Gguf;

/// <summary>Every key of a file is used, or changes nothing, or is refused by its name.</summary>
public sealed class GgufKeysTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public GgufKeysTests() => TorchRuntime.Load();

    private string Result => _folder.File("result");

    public void Dispose() => _folder.Dispose();

    /// <summary>Keys that would change what the model computes, each with such a value.</summary>
    [Theory]
    [InlineData("llama.attention.clamp_kqv", 8f, "is 8, which isn't converted: it changes what the model computes")]
    [InlineData("llama.logit_scale", 0.25f, "is 0.25, which isn't converted")]
    [InlineData("llama.embedding_scale", 12f, "is 12, which isn't converted")]
    [InlineData("llama.residual_scale", 0.22f, "which isn't converted")]
    [InlineData("llama.attention.scale", 0.5f, "isn't converted")]
    [InlineData("llama.attention.output_scale", 0.5f, "is 0.5, which isn't converted")]
    [InlineData("llama.attn_logit_softcapping", 50f, "is 50, which isn't converted")]
    [InlineData("llama.final_logit_softcapping", 30f, "is 30, which isn't converted")]
    [InlineData("llama.attention.max_alibi_bias", 8f, "is 8, which isn't converted")]
    [InlineData("llama.attention.causal", false, "is false, which isn't converted")]
    [InlineData("llama.use_parallel_residual", true, "is true, which isn't converted")]
    [InlineData("llama.rope.scaling.attn_factor", 1.5f, "is 1.5, which isn't converted")]
    [InlineData("llama.rope.scaling.yarn_log_multiplier", 0.1f, "which isn't converted")]
    [InlineData("llama.rope.scaling.type", "yarn", "is 'yarn', which isn't converted")]
    [InlineData("llama.rope.scaling.type", "longrope", "is 'longrope', which isn't converted")]
    [InlineData("llama.rope.dimension_count", 4, "which isn't converted: all numbers of a head must be rotated")]
    [InlineData("llama.rope.dimension_sections", 4, "is a key that isn't known here; it may change what the model computes")]
    [InlineData("llama.rope.freq_base_swa", 10000f, "is a key that isn't known here")]
    [InlineData("llama.attention.sliding_window", 4, "is 4, which isn't converted")]
    [InlineData("llama.attention.temperature_scale", 0.1f, "is a key that isn't known here")]
    [InlineData("llama.expert_count", 8, "is 8: mixtures of experts aren't converted")]
    [InlineData("llama.expert_used_count", 2, "is 2, which isn't converted")]
    [InlineData("llama.expert_weights_scale", 2.5f, "is a key that isn't known here")]
    [InlineData("llama.nextn_predict_layers", 1, "is 1, which isn't converted")]
    [InlineData("llama.vocab_size", 7, "is 7, and token_embd.weight has")]
    [InlineData("llama.a_key_of_tomorrow", 1, "is a key that isn't known here")]
    [InlineData("general.type", "adapter", "is 'adapter': the file holds no whole model")]
    [InlineData("tokenizer.ggml.add_sep_token", true, "is true, which isn't converted: it changes what the tokenizer gives")]
    [InlineData("tokenizer.ggml.remove_extra_whitespaces", true, "is true, which isn't converted")]
    [InlineData("tokenizer.ggml.precompiled_charsmap", "x", "which isn't converted")]
    [InlineData("tokenizer.ggml.normalizer.lowercase", true, "is true, which isn't converted")]
    [InlineData("tokenizer.ggml.token_type_count", 2, "is 2, which isn't converted")]
    [InlineData("tokenizer.ggml.a_key_of_tomorrow", 1, "is a key that isn't known here; it may change what the tokenizer gives")]
    public void A_key_that_would_change_the_model_is_refused_by_name(string key, object value, string message)
    {
        var fault = Assert.Throws<InputException>(() => Convert("llama", writer => Put(writer, key, value)));
        Assert.Contains($"model.gguf: {key} ", fault.Message, StringComparison.Ordinal);
        Assert.Contains(message, fault.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Result));
        Assert.Contains(ModelInspector.Inspect(_folder.File("model.gguf")).NotSupported, line => line.Contains(key, StringComparison.Ordinal));
    }

    [Fact]
    public void Keys_that_change_nothing_are_passed_over()
    {
        Assert.Empty(Convert("llama", writer =>
        {
            foreach (var (key, value) in (ReadOnlySpan<(string, object)>)
                     [
                         ("general.type", "model"), ("general.name", "a"), ("general.file_type", 0), ("general.quantization_version", 2), ("general.size_label", "1B"), ("quantize.imatrix.file", "a.dat"), ("tokenizer.huggingface.json", "{}"),
                         ("llama.attention.clamp_kqv", 0f), ("llama.logit_scale", 1f), ("llama.attention.causal", true), ("llama.expert_count", 0), ("llama.expert_used_count", 0), ("llama.rope.scaling.finetuned", true),
                         ("llama.tensor_data_layout", "Meta AI original pth"), ("llama.rope.scaling.attn_factor", 1f), ("llama.rope.scaling.yarn_beta_fast", 32f), ("llama.pooling_type", 0), ("llama.rope.scaling.factor", 0f),
                         ("tokenizer.ggml.add_sep_token", false), ("tokenizer.ggml.mask_token_id", 3), ("tokenizer.ggml.fim_pre_token_id", 4), ("tokenizer.ggml.remove_extra_whitespaces", false),
                     ])
            {
                Put(writer, key, value);
            }
        }));
        using var model = LanguageModelFolder.Load(Result);
        Assert.Null(model.Configuration["rope_scaling"]);
    }

    [Fact]
    public void Keys_of_nobody_are_said()
    {
        var notes = Convert("llama", writer => writer.Text("someone.url", "x").Number("general.sampling.xtc_threshold", 0.1f));
        Assert.Equal("keys that aren't used: someone.url, general.sampling.xtc_threshold", Assert.Single(notes));
        Assert.Equal(notes, ModelInspector.Inspect(_folder.File("model.gguf")).Notes);
    }

    [Fact]
    public void What_a_file_suppresses_and_recommends_and_where_a_message_ends_become_generation_settings()
    {
        Convert("llama", writer => writer.Wholes("tokenizer.ggml.suppress_tokens", [5, 6]).Number("general.sampling.temp", 0.5f).Whole("general.sampling.top_k", 20).Whole("tokenizer.ggml.eot_token_id", 7).Whole("tokenizer.ggml.eom_token_id", 8));
        var generation = JsonNode.Parse(File.ReadAllText(Path.Combine(Result, "generation_config.json")))!;
        Assert.Equal("[5,6]", generation["suppress_tokens"]!.ToJsonString());
        Assert.Equal((0.5, 20), ((double)generation["temperature"]!, (int)generation["top_k"]!));
        Assert.Equal("[2,7,8]", generation["eos_token_id"]!.ToJsonString());
        using var model = TextModel.Load(Result);
        Assert.Equal([2, 7, 8], model.EndTokens);
    }

    /// <summary>A SentencePiece vocabulary that doesn't name its special tokens has them first, and a text gets a begin token.</summary>
    [Fact]
    public void Special_tokens_that_are_not_named_are_sentencepieces_own()
    {
        Convert("llama", writer => writer.Without("tokenizer.ggml.bos_token_id").Without("tokenizer.ggml.eos_token_id").Without("tokenizer.ggml.unknown_token_id"));
        var tokenizer = TokenizerFolder.Load(Result);
        Assert.Equal((1, 2), (tokenizer.BosId!.Value, tokenizer.EosId!.Value));
        Assert.Equal(1, tokenizer.Encode("a", addSpecialTokens: true)[0]);
    }

    [Fact]
    public void Several_chat_templates_are_kept_by_their_names()
    {
        Convert("llama", writer => writer.Text("tokenizer.chat_template", "one {{ bos_token }}").Texts("tokenizer.chat_templates", ["tool_use"]).Text("tokenizer.chat_template.tool_use", "two"));
        var templates = JsonNode.Parse(File.ReadAllText(Path.Combine(Result, "tokenizer_config.json")))!["chat_template"]!;
        Assert.Equal("""[{"name":"default","template":"one {{ bos_token }}"},{"name":"tool_use","template":"two"}]""", templates.ToJsonString());
        Assert.Equal("one <s>", ChatTemplateFolder.Load(Result).Render([], addGenerationPrompt: false));
    }

    [Fact]
    public void A_kind_of_token_that_is_not_known_is_refused()
    {
        var fault = Assert.Throws<InputException>(() => Convert("qwen2", writer => writer.Wholes("tokenizer.ggml.token_type", [7, .. Enumerable.Repeat(1, 419)]).Without("tokenizer.ggml.token_type"))).Message;
        Assert.Contains("tokenizer.ggml.token_type has 7 for the token 0, a kind that isn't known", fault, StringComparison.Ordinal);
        Assert.Contains("add_space_prefix is true, which isn't converted for byte-level BPE", Assert.Throws<InputException>(() => Convert("qwen2", writer => writer.Flag("tokenizer.ggml.add_space_prefix", true))).Message, StringComparison.Ordinal);
    }

    /// <summary>Converters don't write the context that Llama 3's scaling goes by; the factors tell.</summary>
    [Fact]
    public void The_first_context_of_llama_3s_scaling_follows_from_the_factors()
    {
        Convert("llama3_rope", writer => writer.Without("llama.rope.scaling.original_context_length"));
        var expected = JsonNode.Parse(File.ReadAllText(Path.Combine(Fixture.PathOf("llama3_rope"), "config_v4.json")))!["rope_scaling"]!;
        var scaling = JsonNode.Parse(File.ReadAllText(Path.Combine(Result, "config.json")))!["rope_scaling"]!;
        Assert.NotEqual(8192, (int)expected["original_max_position_embeddings"]!);
        foreach (var key in (string[])["rope_type", "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"])
            Assert.True(JsonNode.DeepEquals(expected[key], scaling[key]), $"{key}: {expected[key]} became {scaling[key]}");
    }

    [Fact]
    public void Llama_3s_factors_and_a_linear_one_at_once_are_refused() =>
        Assert.Contains("rope.scaling.factor is 2 beside the factors in rope_freqs.weight", Assert.Throws<InputException>(() => Convert("llama3_rope", writer => writer.Number("llama.rope.scaling.factor", 2))).Message, StringComparison.Ordinal);

    private static void Put(GgufWriter writer, string key, object value)
    {
        _ = value switch
        {
            string text => writer.Text(key, text),
            bool flag => writer.Flag(key, flag),
            int whole => writer.Whole(key, (uint)whole),
            _ => writer.Number(key, (float)value),
        };
        writer.Without(key);
    }

    private IReadOnlyList<string> Convert(string fixture, Action<GgufWriter> change)
    {
        var writer = new GgufWriter();
        change(writer);
        if (fixture != "llama") writer.Text("tokenizer.ggml.pre", fixture == "qwen2" ? "qwen2" : "llama-bpe");
        File.WriteAllBytes(_folder.File("model.gguf"), GgufOfFolder.Write(Fixture.PathOf(fixture), writer).ToArray());
        return GgufConversion.Convert(_folder.File("model.gguf"), Result, ScalarType.Float32);
    }
}
