using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.Decoders;
using Rlgf.Models.Families.Known;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>
/// What tells the families of fixtures/families from those of fixtures/models: long rows, caches that aren't keys and values alone, checkpoints that hold more than the text's model, and options.
/// <see cref="DecoderFamilyTests"/> and others go over both.
/// </summary>
public sealed class FamilyTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Models => [.. Fixture.InFamilies("causal_lm")];

    /// <summary>Models whose numbers for a row don't depend on how long others of its batch are.</summary>
    public static TheoryData<string> ModelsOfRows => [.. Fixture.InFamilies("causal_lm").Where(name => name is not ("llama_rope_dynamic" or "phi4_mini"))];

    public static TheoryData<string> Wholes => [.. Fixture.InFamilies("storage")];

    public void Dispose() => _scope.Dispose();

    [Theory, MemberData(nameof(Models))]
    public void Logits_of_a_long_row_equal_those_of_transformers(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var row = Fixture.Ints(fixture.Expected["long"]!["input_ids"])[0];
        var columns = fixture.Expected["long"]!["columns"]!.AsArray().Select(column => (long)column!).ToArray();
        Fixture.Close(fixture.Tensor("long.logits"), Fixture.AllLogits(model, [row]).index_select(0, tensor(columns)), fixture.Tolerance);
    }

    [Theory, MemberData(nameof(Models))]
    public void A_row_read_token_by_token_has_the_logits_of_the_row_read_at_once(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var cached = fixture.Expected["long"]!["cached"]!;
        var row = Fixture.Ints(fixture.Expected["long"]!["input_ids"])[0][..(int)cached["length"]!];
        var first = (int)cached["first_call"]!;
        using var decoder = model.StartDecoding([new TokenRow(row[..first], [])], row.Length - first);
        var stepwise = new List<Tensor> { decoder.NextLogits.clone() };
        foreach (var token in row[first..])
        {
            decoder.Append([token]);
            stepwise.Add(decoder.NextLogits.clone());
        }

        if (fixture.Tensors.Contains("long.cached_logits"))
        {
            // Keys keep the rotation that they were given, so that this is another thing than the row at once.
            var expected = fixture.Tensor("long.cached_logits");
            Fixture.Close(expected, cat([.. stepwise.TakeLast((int)expected.size(0))]), fixture.Tolerance);
            return;
        }

        foreach (var length in new[] { first, first + 1, 15, 16, 17, 18, 31, row.Length }) Fixture.Close(LastLogits(model, row[..length]), stepwise[length - first], fixture.Tolerance);
    }

    [Theory, MemberData(nameof(ModelsOfRows))]
    public void Rows_begin_anywhere_share_prompts_leave_and_join_and_each_has_the_logits_that_it_has_alone(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        var (a, b, c) = (rows[0], rows[1], rows[2]);
        using var decoder = model.StartDecoding([new TokenRow(a[..2], a[2..^4]), new TokenRow(b[..^4], []), new TokenRow(c[..^4], [])], 8);
        decoder.Select([0, 2, 2]);
        decoder.Append([a[^4], c[^4], 5]);
        var other = model.StartDecoding([new TokenRow(b[..1], b[1..^3])], 8);
        Assert.True(decoder.TryJoin(other));
        decoder.Append([a[^3], c[^3], 6, b[^3]]);
        decoder.Select([3, 0, 2]);
        decoder.Append([b[^2], a[^2], 7]);
        int[][] written = [b[..^1], a[..^1], [.. c[..^4], 5, 6, 7]];
        for (var row = 0; row < written.Length; row++) Fixture.Close(LastLogits(model, written[row]), decoder.NextLogits.narrow(0, row, 1), fixture.Tolerance);
    }

    [Theory, MemberData(nameof(ModelsOfRows))]
    public void Sampled_tokens_have_the_log_probabilities_that_reading_them_gives(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var prompts = Fixture.Rows(fixture.Expected["left_padded"]!);
        var written = TextGenerator.Generate(model, [.. prompts.Select((prompt, b) => new GenerationRequest(new TokenRow(prompt, []), (ulong)b))], new SamplingSettings { MaxNewTokens = 20, EndTokens = [] }, seed: 3);
        foreach (var (prompt, row) in prompts.Zip(written))
        {
            var logProbs = Fixture.AllLogits(model, [[.. prompt, .. row.Tokens]]).log_softmax(1);
            var read = row.Tokens.Select((token, t) => logProbs[prompt.Length - 1 + t, token].item<float>()).ToArray();
            for (var t = 0; t < read.Length; t++) Assert.Equal(read[t], row.RawLogProbs[t], fixture.Tolerance);
        }
    }

    [Theory, MemberData(nameof(Models))]
    public void A_model_that_was_saved_and_loaded_gives_the_same_bits_whatever_keys_it_came_in(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        var logits = Fixture.AllLogits(model, rows);
        foreach (var keys in new[] { "config.json", "config_v4.json" })
        {
            using TemporaryFolder given = new(), saved = new(), again = new();
            File.Copy(Path.Combine(fixture.Folder, keys), given.File("config.json"));
            File.Copy(Path.Combine(fixture.Folder, "model.safetensors"), given.File("model.safetensors"));
            using (var one = LanguageModelFolder.Load(given.Path)) LanguageModelFolder.Save(one, saved.Path);
            using var two = LanguageModelFolder.Load(saved.Path);
            Assert.True(logits.equal(Fixture.AllLogits(two, rows)).all().item<bool>());
            LanguageModelFolder.Save(two, again.Path);
            Assert.Equal(File.ReadAllText(saved.File("config.json")), File.ReadAllText(again.File("config.json")));
        }
    }

    [Theory, MemberData(nameof(Wholes))]
    public void Of_a_checkpoint_with_images_the_part_for_texts_is_read_and_saved_by_itself(string name)
    {
        using var fixture = new Fixture(name);
        var rows = Fixture.Ints(fixture.Expected["batch"]!["input_ids"]);
        foreach (var keys in new[] { "config.json", "config_v4.json" })
        {
            using TemporaryFolder given = new(), saved = new();
            File.Copy(Path.Combine(fixture.Folder, keys), given.File("config.json"));
            File.Copy(Path.Combine(fixture.Folder, "model.safetensors"), given.File("model.safetensors"));
            using var model = LanguageModelFolder.Load(given.Path);
            Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, rows), fixture.Tolerance);
            LanguageModelFolder.Save(model, saved.Path);
            Fixture.SameWeights(Fixture.PathOf(Path.GetFileName((string)fixture.Expected["base"]!)), saved.Path);
            using var text = LanguageModelFolder.Load(saved.Path);
            Assert.True(Fixture.AllLogits(model, rows).equal(Fixture.AllLogits(text, rows)).all().item<bool>());
        }
    }

    [Theory]
    [InlineData("gemma3", "sliding_window", "1000")]
    [InlineData("gemma3", "sliding_window", "6")]
    [InlineData("gemma3", "query_pre_attn_scalar", "16")]
    [InlineData("gemma3", "final_logit_softcapping", "3")]
    [InlineData("gemma3", "layer_types", """["full_attention", "sliding_attention", "full_attention", "sliding_attention"]""")]
    [InlineData("gemma2", "attn_logit_softcapping", "null")]
    [InlineData("gemma2", "final_logit_softcapping", "null")]
    [InlineData("gemma2", "sliding_window", "1000")]
    [InlineData("gemma2", "query_pre_attn_scalar", "16")]
    [InlineData("smollm3", "no_rope_layers", "[0, 1, 0]")]
    [InlineData("granite", "attention_multiplier", "1")]
    [InlineData("granite", "embedding_multiplier", "1")]
    [InlineData("granite", "residual_multiplier", "1")]
    [InlineData("granite", "logits_scaling", "1")]
    [InlineData("granitemoehybrid", "position_embedding_type", "\"nope\"")]
    [InlineData("ministral3", "rope_parameters.llama_4_scaling_beta", "0")]
    [InlineData("ministral3", "rope_parameters.mscale_all_dim", "0")]
    [InlineData("phi4_mini", "original_max_position_embeddings", "64")]
    [InlineData("phi4_mini", "rope_parameters.partial_rotary_factor", "1", "short_factor has 6 numbers")]
    [InlineData("llama_rope_linear", "rope_parameters.factor", "1")]
    [InlineData("llama_rope_dynamic", "rope_parameters.factor", "1")]
    [InlineData("llama_rope_yarn", "rope_parameters.attention_factor", "1")]
    [InlineData("llama_rope_yarn", "rope_parameters.beta_slow", "0.05")]
    [InlineData("llama_rope_yarn", "rope_parameters.truncate", "false")]
    [InlineData("gpt_neo", "window_size", "100")]
    [InlineData("gpt_neo", "attention_types", """[[["local", "global"], 1]]""")]
    [InlineData("gpt_neo", "layer_norm_epsilon", "0.1")]
    [InlineData("bloom", "layer_norm_epsilon", "0.1")]
    [InlineData("falcon", "rope_parameters.rope_theta", "100")]
    [InlineData("falcon", "activation", "\"relu\"")]
    [InlineData("falcon_alibi", "layer_norm_epsilon", "0.1")]
    [InlineData("stablelm", "rope_parameters.partial_rotary_factor", "0.5")]
    [InlineData("starcoder2", "sliding_window", "null")]
    [InlineData("starcoder2", "rope_parameters.rope_theta", "100")]
    [InlineData("nanochat", "final_logit_softcapping", "15")]
    [InlineData("nanochat", "hidden_act", "\"relu\"")]
    [InlineData("qwen3_moe", "norm_topk_prob", "false")]
    [InlineData("qwen3_moe", "num_experts_per_tok", "1")]
    [InlineData("mixtral", "num_experts_per_tok", "1")]
    [InlineData("mixtral", "num_experts_per_tok", "5", "num_experts_per_tok is 5, and num_local_experts is 4")]
    [InlineData("gpt_oss", "sliding_window", "100")]
    [InlineData("gpt_oss", "swiglu_limit", "7")]
    [InlineData("gpt_oss", "swiglu_alpha", "1")]
    [InlineData("gpt_oss", "num_experts_per_tok", "1")]
    [InlineData("gpt_oss", "layer_types", """["full_attention", "sliding_attention"]""")]
    [InlineData("gpt_oss", "rope_parameters.truncate", "true")]
    [InlineData("gpt_oss", "rope_parameters.factor", "1")]
    [InlineData("gpt_oss", "layer_types", "null", "")] // the format's own are the same
    [InlineData("gpt_oss", "num_experts_per_tok", "5", "num_experts_per_tok is 5, and num_local_experts is 4")]
    [InlineData("gpt_oss", "experts_per_token", "3", "experts_per_token is 3, and num_experts_per_tok 2")]
    [InlineData("gpt_oss", "hidden_act", "\"gelu\"", "hidden_act is 'gelu'")]
    [InlineData("gpt_oss", "attention_bias", "false", "the weights don't fit config.json")]
    [InlineData("gpt_oss", "layer_types", """["sliding_attention", "chunked_attention"]""", "layer_types names 'chunked_attention'")]
    [InlineData("gpt_oss", "quantization_config", """{"quant_method": "mxfp4"}""", "quantization_config is there (mxfp4), and quantised weights aren't supported")]
    [InlineData("lfm2", "norm_eps", "0.1")]
    [InlineData("lfm2", "rope_parameters.rope_theta", "10")]
    [InlineData("lfm2", "block_auto_adjust_ff_dim", "false", "the weights don't fit config.json")]
    [InlineData("lfm2", "layer_types", """["conv", "conv", "mamba", "conv"]""", "layer_types names 'mamba'")]
    [InlineData("qwen3_5", "rope_parameters.partial_rotary_factor", "1")]
    [InlineData("qwen3_5", "rope_parameters.rope_theta", "10")]
    [InlineData("qwen3_5", "rms_norm_eps", "0.1")]
    [InlineData("qwen3_5", "linear_num_key_heads", "3", "linear_num_key_heads is 3, which doesn't divide linear_num_value_heads = 4")]
    [InlineData("qwen3_5", "layer_types", """["linear_attention", "linear_attention", "linear_attention", "sliding_attention"]""", "layer_types names 'sliding_attention'")]
    [InlineData("gemma3", "sliding_window_pattern", "null", "")] // the list of layers counts
    [InlineData("gpt_neo", "attention_types", """[[["global", "blockwise"], 1]]""", "attention_types names 'blockwise'")]
    [InlineData("gpt_neo", "attention_types", """[[["global"], 1]]""", "attention_types names 1 layers or more, and num_layers is 2")]
    [InlineData("gpt_neo", "attention_types", """["global", "local"]""", "attention_types must be a list of pairs")]
    [InlineData("bloom", "apply_residual_connection_post_layernorm", "true", "apply_residual_connection_post_layernorm is true")]
    [InlineData("stablelm", "qk_layernorm", "true", "qk_layernorm is true")]
    [InlineData("gpt_bigcode", "scale_attn_weights", "false", "scale_attn_weights is false")]
    [InlineData("gemma3", "use_bidirectional_attention", "true", "use_bidirectional_attention is true")]
    [InlineData("gemma3", "layer_types", """["full_attention"]""", "layer_types names 1 layers, and num_hidden_layers is 4")]
    [InlineData("gemma2", "layer_types", """["full_attention", "chunked_attention"]""", "layer_types names 'chunked_attention'")]
    [InlineData("smollm3", "no_rope_layers", "[1, 0]", "no_rope_layers must have 0 or 1 for each of the 3 layers")]
    [InlineData("smollm3", "use_sliding_window", "true", "use_sliding_window is true")]
    [InlineData("granitemoehybrid", "layer_types", """["attention", "mamba"]""", "layer_types names 'mamba'")]
    [InlineData("granitemoehybrid", "layer_types", "null", "all layers are of the type 'mamba'")]
    [InlineData("granitemoehybrid", "num_local_experts", "4", "num_local_experts is 4")]
    [InlineData("ministral3", "quantization_config", """{"quant_method": "fp8"}""", "quantised weights aren't supported")]
    [InlineData("gemma3_nested", "text_config", "null", "text_config is missing")]
    public void A_setting_that_is_read_matters_and_one_that_is_not_there_is_refused_by_name(string name, string key, string value, string? refusal = null)
    {
        using var fixture = new Fixture(name);
        using var folder = new TemporaryFolder();
        var configuration = JsonNode.Parse(File.ReadAllText(Path.Combine(fixture.Folder, "config.json")))!.AsObject();
        var parent = key.Contains('.', StringComparison.Ordinal) ? configuration[key.Split('.')[0]]!.AsObject() : configuration;
        parent[key.Split('.')[^1]] = JsonNode.Parse(value);
        File.WriteAllText(folder.File("config.json"), configuration.ToJsonString());
        File.Copy(Path.Combine(fixture.Folder, "model.safetensors"), folder.File("model.safetensors"));
        if (refusal is { Length: > 0 })
        {
            var message = Assert.Throws<InputException>(() => LanguageModelFolder.Load(folder.Path)).Message;
            Assert.Contains(refusal, message, StringComparison.Ordinal);
            Assert.Contains(refusal.Contains("weights", StringComparison.Ordinal) && !refusal.Contains("quantised", StringComparison.Ordinal) ? folder.Path : folder.File("config.json"), message, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', message);
            return;
        }

        using var model = LanguageModelFolder.Load(folder.Path);
        int[][] rows = [.. Fixture.Rows(fixture.Expected["right_padded"]!)];
        var moved = (fixture.Tensor("logits") - Fixture.AllLogits(model, rows)).abs().max().item<float>();
        Assert.Equal(refusal is null, moved > 0.02);
    }

    [Fact]
    public void Rows_are_read_again_once_one_of_them_is_longer_than_keys_are_rotated_in_one_way()
    {
        using var fixture = new Fixture("phi4_mini");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        var row = Fixture.Ints(fixture.Expected["long"]!["input_ids"])[0];
        int[] a = row[..14], b = row[20..26];
        using var decoder = model.StartDecoding([new TokenRow(a, []), new TokenRow(b, [])], 20);
        decoder.Select([1, 0, 1]);
        for (var step = 0; step < 5; step++)
        {
            (a, b) = ([.. a, 5 + step], [.. b, 9 + step]);
            decoder.Append([b[^1], a[^1], b[^1]]);
            // All rows of a batch are rotated as the longest is.
            var both = Fixture.AllLogits(model, [b, a]);
            Fixture.Close(both.index_select(0, tensor(new long[] { b.Length - 1, b.Length + a.Length - 1, b.Length - 1 })), decoder.NextLogits, fixture.Tolerance);
        }

        // What is left of a batch whose longest row has gone is rotated as itself.
        using var left = model.StartDecoding([new TokenRow(row[..14], []), new TokenRow(row[20..26], [])], 20);
        left.Select([1]);
        b = row[20..26];
        for (var step = 0; step < 14; step++)
        {
            b = [.. b, 9 + step];
            left.Append([b[^1]]);
            if (step is 1 or 2 or 3 or 9 or 10 or 13) Fixture.Close(LastLogits(model, b), left.NextLogits, fixture.Tolerance);
        }

        Assert.False(left.TryJoin(decoder));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(9)]
    [InlineData(64)]
    [InlineData(150)]
    public void The_delta_rule_in_chunks_is_the_rule_token_by_token_and_so_are_its_gradients(int columns)
    {
        TorchRuntime.Load();
        using var random = new Generator(5);
        var inputs = ((long[][])[[2, 3, columns, 4], [2, 3, columns, 4], [2, 3, columns, 5], [2, 3, columns], [2, 3, columns], [2, 3, 4, 5]]).Select(shape => randn(shape, generator: random)).ToArray();
        // Keys of length 1 that resemble each other, which is where correcting matters.
        inputs[1] = nn.functional.normalize(inputs[1].Add(1.0), dim: 3);
        (inputs[3], inputs[4]) = (inputs[3].sigmoid(), inputs[4].abs().neg());
        var (chunked, stepwise) = (inputs.Select(Leaf).ToArray(), inputs.Select(Leaf).ToArray());
        var (read, table) = DeltaRule.Run(chunked[0], chunked[1], chunked[2], chunked[3], chunked[4], chunked[5]);
        var state = stepwise[5];
        var steps = new List<Tensor>();
        for (var t = 0; t < columns; t++)
        {
            (var one, state) = DeltaRule.Run(At(0), At(1), At(2), At(3), At(4), state);
            steps.Add(one);

            Tensor At(int input) => stepwise[input].narrow(2, t, 1);
        }

        Fixture.Close(cat(steps, 2), read, 1e-4);
        Fixture.Close(state, table, 1e-4);
        var direction = randn(read.shape, generator: random);
        (read * direction).sum().Add(table.sum()).backward();
        (cat(steps, 2) * direction).sum().Add(state.sum()).backward();
        foreach (var (a, b) in chunked.Zip(stepwise)) Fixture.Close(b.grad!, a.grad!, 1e-3);

        static Tensor Leaf(Tensor tensor) => tensor.detach().clone().requires_grad_(true);
    }

    [Fact]
    public void A_family_that_is_not_known_is_refused_by_one_line_that_names_the_nearest_one()
    {
        foreach (var (type, nearest) in new[] { ("olmo3", "olmo2"), ("gemma3n_text", "gemma3_text"), ("granitemoe", "granite") })
        {
            var fault = Assert.Throws<InputException>(() => ModelFamilies.Of(new ModelConfiguration(new JsonObject { ["model_type"] = type }, "here/config.json"))).Message;
            Assert.StartsWith($"here/config.json: model_type is '{type}', which isn't supported; the nearest that is known is '{nearest}'", fault, StringComparison.Ordinal);
        }

        foreach (var name in Fixture.Unknown)
        {
            var fault = Assert.Throws<InputException>(() => LanguageModelFolder.Load(Fixture.PathOf(name))).Message;
            Assert.Contains("model_type is '", fault, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', fault);
        }
    }

    private static Tensor LastLogits(ILanguageModel model, int[] row) => Fixture.AllLogits(model, [row]).narrow(0, row.Length - 1, 1);
}
