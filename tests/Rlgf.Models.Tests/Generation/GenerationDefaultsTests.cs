using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Generation;

/// <summary>Every key of a generation_config.json is used as transformers does, or said. Six tokens, of which 5 ends a text; the logits are small whole numbers, so that what a key does to them can be written down.</summary>
public sealed class GenerationDefaultsTests
{
    private const float No = float.NegativeInfinity;
    private static readonly LanguageModelShape Decoder = new(6, 4, 64);
    private static readonly LanguageModelShape EncoderDecoder = Decoder with { Encoder = new EncoderShape(64, 0) };

    /// <summary>Key, value, what the row holds, how many of it are the response, how many tokens are left, and what becomes of the logits 1, −1, 2, −2, 3, 0.</summary>
    public static TheoryData<string, string, int[], int, int, float[]> UsedKeys => new()
    {
        { "suppress_tokens", "[2, 3]", [1, 2], 1, 9, [1, -1, No, No, 3, 0] },
        { "begin_suppress_tokens", "[4]", [1, 2], 0, 9, [1, -1, 2, -2, No, 0] },
        { "begin_suppress_tokens", "[4]", [1, 2], 1, 9, [1, -1, 2, -2, 3, 0] },
        { "sequence_bias", "[[[0], 10.0], [[2, 3, 1], -5.5], [[3, 3], 7]]", [0, 2, 3], 2, 9, [11, -6.5f, 2, 5, 3, 0] },
        { "sequence_bias", "[[[2, 3, 1], -5.5]]", [2, 3, 0], 2, 9, [1, -1, 2, -2, 3, 0] },
        { "bad_words_ids", "[[3, 0], [2, 1]]", [1, 3], 1, 9, [No, -1, 2, -2, 3, 0] },
        // An end alone is no bad word there.
        { "bad_words_ids", "[[5], [4]]", [1, 3], 1, 9, [1, -1, 2, -2, No, 0] },
        { "min_new_tokens", "2", [1, 2, 3, 4], 1, 9, [1, -1, 2, -2, 3, No] },
        { "min_new_tokens", "2", [1, 2, 3, 4], 2, 9, [1, -1, 2, -2, 3, 0] },
        // Counts the prompt.
        { "min_length", "4", [1, 2, 3], 1, 9, [1, -1, 2, -2, 3, No] },
        { "min_length", "4", [1, 2, 3, 4], 1, 9, [1, -1, 2, -2, 3, 0] },
        { "no_repeat_ngram_size", "2", [1, 2, 1], 2, 9, [1, -1, No, -2, 3, 0] },
        { "repetition_penalty", "2", [0, 1, 1], 2, 9, [0.5f, -2, 2, -2, 3, 0] },
        { "forced_eos_token_id", "5", [1, 2], 1, 1, [No, No, No, No, No, 0] },
        { "forced_eos_token_id", "[5, 4]", [1, 2], 1, 2, [1, -1, 2, -2, 3, 0] },
        { "encoder-decoder: forced_bos_token_id", "3", [0], 0, 9, [No, No, No, 0, No, No] },
        { "encoder-decoder: forced_bos_token_id", "3", [0, 3], 1, 9, [1, -1, 2, -2, 3, 0] },
        { "encoder-decoder: begin_suppress_tokens", "[4]", [0], 0, 9, [1, -1, 2, -2, No, 0] },
        { "encoder-decoder: min_length", "2", [0], 0, 9, [1, -1, 2, -2, 3, No] },
        { "encoder-decoder: min_length", "2", [0, 1], 1, 9, [1, -1, 2, -2, 3, 0] },
    };

    /// <summary>Every other key that is known, with a value that asks for something.</summary>
    public static TheoryData<string, string> SaidKeys => new()
    {
        { "do_sample", "false" }, { "temperature", "0.6" }, { "top_k", "50" }, { "top_p", "0.9" }, { "num_beams", "4" }, { "length_penalty", "2.0" }, { "max_length", "142" }, { "max_new_tokens", "9" }, { "stop_strings", "[\"x\"]" },
        { "min_p", "0.1" }, { "typical_p", "0.9" }, { "top_h", "0.4" }, { "epsilon_cutoff", "0.1" }, { "eta_cutoff", "0.1" }, { "early_stopping", "true" }, { "num_beam_groups", "2" }, { "diversity_penalty", "0.5" },
        { "encoder_repetition_penalty", "1.5" }, { "encoder_no_repeat_ngram_size", "3" }, { "exponential_decay_length_penalty", "[5, 1.1]" }, { "renormalize_logits", "true" }, { "remove_invalid_values", "true" },
        { "guidance_scale", "1.5" }, { "watermarking_config", "{\"bias\": 2.0}" }, { "token_healing", "true" }, { "penalty_alpha", "0.6" }, { "dola_layers", "\"high\"" }, { "constraints", "[1]" }, { "force_words_ids", "[[1]]" },
        { "forced_decoder_ids", "[[1, 2]]" }, { "num_return_sequences", "3" }, { "max_time", "5" }, { "forced_bos_token_id", "3" }, { "a_key_of_tomorrow", "7" },
    };

    [Theory, MemberData(nameof(UsedKeys))]
    public void What_is_forced_and_forbidden_changes_the_logits_as_in_transformers(string key, string value, int[] tokens, int responseTokens, int tokensLeft, float[] expected)
    {
        using var scope = NewDisposeScope();
        var shape = key.StartsWith("encoder-decoder", StringComparison.Ordinal) ? EncoderDecoder : Decoder;
        var defaults = Read(key.Split(' ')[^1], value, shape);
        Assert.Empty(defaults.NotUsed);
        var settings = defaults.ApplyTo(new SamplingSettings { MaxNewTokens = 20 }, [5], new HashSet<string>());
        settings.Validate(shape.Vocabulary);
        var processed = LogitsProcessing.Apply(tensor(new float[] { 1, -1, 2, -2, 3, 0 }).unsqueeze(0), [new RowHistory(tokens, responseTokens, tokensLeft)], settings with { Greedy = true }).Logits;
        Assert.Equal(expected, processed.data<float>().ToArray());
    }

    [Fact]
    public void After_a_forced_token_the_next_is_the_first_that_is_chosen()
    {
        using var scope = NewDisposeScope();
        var settings = Of("""{"forced_bos_token_id": 3, "begin_suppress_tokens": [4]}""", EncoderDecoder).ApplyTo(new SamplingSettings { MaxNewTokens = 20, Greedy = true }, [5], new HashSet<string>());
        float[] After(params int[] tokens) => LogitsProcessing.Apply(zeros(1, 6), [new RowHistory(tokens, tokens.Length - 1)], settings).Logits.data<float>().ToArray();
        Assert.Equal([No, No, No, 0, No, No], After(0));
        Assert.Equal([0, 0, 0, 0, No, 0], After(0, 3));
        Assert.Equal([0, 0, 0, 0, 0, 0], After(0, 3, 1));
    }

    [Theory, MemberData(nameof(SaidKeys))]
    public void What_is_not_used_is_said_with_its_value_and_the_option_that_decides(string key, string value)
    {
        var defaults = Read(key, value, Decoder);
        var said = Assert.Single(defaults.NotUsed);
        Assert.Equal(key, said.Key);
        Assert.Contains($"generation_config.json: not used here: {key} ", defaults.Warning(new HashSet<string>()), StringComparison.Ordinal);
        // Who gave the option has answered.
        if (said.Option is { } option) Assert.Null(defaults.Warning(new HashSet<string> { option }));
        else Assert.NotNull(defaults.Warning(new HashSet<string> { "--temperature", "--top-k" }));
        // And what asks for nothing, or for what is done anyway, is nothing to speak of.
        Assert.Empty(Read(key, "null", Decoder).NotUsed);
    }

    /// <summary>The lists above and that of the harmless keys leave no key out.</summary>
    [Fact]
    public void Every_known_key_is_used_or_said_or_harmless()
    {
        // Named by files and found before: see EndTokenTests.
        string[] elsewhere = ["eos_token_id", "bos_token_id", "decoder_start_token_id"];
        // Caches, compilers, drafts and what generate returns: no token depends on them.
        string[] harmless =
        [
            "pad_token_id", "use_cache", "cache_implementation", "cache_config", "max_cache_len", "return_legacy_cache", "prefill_chunk_size", "compile_config", "disable_compile", "continuous_batching_config", "low_memory",
            "output_attentions", "output_hidden_states", "output_scores", "output_logits", "return_dict_in_generate",
            "is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold", "prompt_lookup_num_tokens", "max_matching_ngram_size", "assistant_early_exit", "assistant_lookbehind",
            "target_lookbehind", "assistant_ensemble_weight", "use_mtp", "_from_model_config", "_commit_hash", "transformers_version",
        ];
        var used = UsedKeys.Select(row => row.Data.Item1.Split(' ')[^1]);
        var said = SaidKeys.Select(row => row.Data.Item1).Where(key => key != "a_key_of_tomorrow");
        Assert.Equal(GenerationKey.All.Keys.Order(StringComparer.Ordinal), used.Concat(said).Concat(elsewhere).Concat(harmless).Distinct().Order(StringComparer.Ordinal));
        foreach (var key in harmless) Assert.Empty(Read(key, "7", Decoder).NotUsed);
    }

    [Fact]
    public void Who_asks_for_something_else_is_heard()
    {
        var defaults = Of("""{"min_new_tokens": 30, "min_length": 9, "no_repeat_ngram_size": 3, "repetition_penalty": 1.3}""", Decoder);
        var asked = new SamplingSettings { MaxNewTokens = 20, MinNewTokens = 1, NoRepeatNgram = 0, RepetitionPenalty = 1 };
        var given = defaults.ApplyTo(asked, [5], new HashSet<string> { "--min-new-tokens", "--no-repeat-ngram", "--repetition-penalty" });
        Assert.Equal((1, 0, 1.0, 0), (given.MinNewTokens, given.NoRepeatNgram, given.RepetitionPenalty, given.ModelRules!.MinLength));
        // A minimum beyond the limit forbids the end up to it; min_length is nothing beside min_new_tokens.
        var open = defaults.ApplyTo(asked, [5], new HashSet<string>());
        Assert.Equal((20, 3, 1.3, 0), (open.MinNewTokens, open.NoRepeatNgram, open.RepetitionPenalty, open.ModelRules!.MinLength));
    }

    [Theory]
    [InlineData("suppress_tokens", "[6]", "suppress_tokens names the id 6, and the model has ids below 6")]
    [InlineData("begin_suppress_tokens", "[-1]", "begin_suppress_tokens names the id -1")]
    [InlineData("suppress_tokens", "\"x\"", "suppress_tokens is \"x\"; it must be an id or a list of ids")]
    [InlineData("forced_bos_token_id", "\"x\"", "forced_bos_token_id is \"x\"; it must be an id")]
    [InlineData("bad_words_ids", "[3]", "bad_words_ids is or holds 3; it must be lists of ids")]
    [InlineData("bad_words_ids", "[[]]", "bad_words_ids is or holds []; it must be lists of ids")]
    [InlineData("sequence_bias", "{\"a\": 1}", "sequence_bias is or holds {\"a\":1}; it must be a list of pairs")]
    [InlineData("sequence_bias", "[[[1], \"x\"]]", "sequence_bias is or holds [[1],\"x\"]; it must be a list of pairs")]
    [InlineData("min_new_tokens", "-1", "min_new_tokens is or holds -1; it must be a whole number, 0 or more")]
    [InlineData("no_repeat_ngram_size", "1.5", "no_repeat_ngram_size is or holds 1.5; it must be a whole number, 0 or more")]
    [InlineData("repetition_penalty", "0", "repetition_penalty is or holds 0; it must be a number above 0")]
    public void A_value_that_can_not_be_used_is_refused_by_its_key(string key, string value, string message)
    {
        var fault = Assert.Throws<InputException>(() => Read(key, value, Decoder)).Message;
        Assert.Contains($"m/generation_config.json: {message}", fault, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', fault);
    }

    /// <summary>Older folders have it all in config.json, which holds where there is no generation_config.json, and is kept when the model is saved.</summary>
    [Fact]
    public void Without_a_generation_config_the_configurations_own_settings_hold()
    {
        using var folder = new TemporaryFolder();
        foreach (var path in Directory.EnumerateFiles(Fixture.PathOf("bart")).Where(path => !Path.GetFileName(path).StartsWith("expected", StringComparison.Ordinal) && Path.GetFileName(path) != "generation_config.json"))
            File.WriteAllBytes(folder.File(Path.GetFileName(path)), File.ReadAllBytes(path));
        var json = JsonNode.Parse(File.ReadAllText(folder.File("config.json")))!;
        (json["forced_bos_token_id"], json["min_length"], json["no_repeat_ngram_size"], json["num_beams"], json["early_stopping"]) = (0, 6, 3, 4, true);
        File.WriteAllText(folder.File("config.json"), json.ToJsonString());

        Check(folder.Path);
        using (var model = LanguageModelFolder.Load(folder.Path)) LanguageModelFolder.Save(model, folder.Path);
        Assert.Equal(6, (int)JsonNode.Parse(File.ReadAllText(folder.File("generation_config.json")))!["min_length"]!);
        Check(folder.Path);

        static void Check(string path)
        {
            using var model = TextModel.Load(path);
            var settings = model.Defaults.ApplyTo(new SamplingSettings { MaxNewTokens = 20 }, model.EndTokens, new HashSet<string>());
            Assert.Equal((0, 6, 3), (settings.ForcedFirstToken!.Value, settings.ModelRules!.MinLength, settings.NoRepeatNgram));
            Assert.Equal(["early_stopping", "num_beams"], model.Defaults.NotUsed.Select(setting => setting.Key));
        }
    }

    private static GenerationDefaults Read(string key, string value, LanguageModelShape shape) => Of(new JsonObject { [key] = JsonNode.Parse(value) }.ToJsonString(), shape);

    private static GenerationDefaults Of(string json, LanguageModelShape shape) => GenerationDefaults.Of(JsonNode.Parse(json)!.AsObject(), "m/generation_config.json", shape);
}
