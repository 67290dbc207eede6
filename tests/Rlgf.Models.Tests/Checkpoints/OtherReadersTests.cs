using System.Text.Json.Nodes;
using Rlgf.Models.Loading;
using Rlgf.Models.Tests.Checkpoints.Gguf;
using Rlgf.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints;

/// <summary>What is written is the same model to transformers 5, to transformers 4 and to converters that read its keys.</summary>
public sealed class OtherReadersTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    /// <summary>Folders with the same configuration as transformers 5 and as transformers 4 writes it.</summary>
    public static TheoryData<string, string> Configurations
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var folder in Directory.GetDirectories(Fixture.PathOf("")).Where(folder => File.Exists(Path.Combine(folder, "config_v4.json"))).Order(StringComparer.Ordinal))
            {
                foreach (var file in (string[])["config.json", "config_v4.json"]) data.Add(Path.GetFileName(folder), file);
            }

            foreach (var name in (string[])["gpt_oss", .. Fixture.InFamilies("seq2seq_lm")])
            {
                foreach (var file in (string[])["config.json", "config_v4.json"]) data.Add(name, file);
            }

            return data;
        }
    }

    [Theory, MemberData(nameof(Configurations))]
    public void A_saved_configuration_has_the_keys_of_both_versions_whichever_was_read(string name, string file)
    {
        using var source = new RewrittenFolder(name);
        File.Copy(Path.Combine(Fixture.PathOf(name), file), source.FileOf("config.json"), overwrite: true);
        Save(source.Folder);
        var saved = Configuration();
        var (newer, older) = (Read(Path.Combine(Fixture.PathOf(name), "config.json")), Read(Path.Combine(Fixture.PathOf(name), "config_v4.json")));
        foreach (var (key, value) in older.Where(pair => pair.Key != "transformers_version")) Assert.True(JsonNode.DeepEquals(value, saved[key]), $"{key} is {saved[key]?.ToJsonString()} and {value?.ToJsonString()} to transformers 4");
        // transformers 5 writes true for every T5 and has scale_decoder_outputs for what the key says in version 4.
        foreach (var (key, value) in newer.Where(pair => pair.Key != "transformers_version" && !(pair.Key == "tie_word_embeddings" && name is "t5_v1_1" or "mt5" or "umt5")))
            Assert.True(JsonNode.DeepEquals(WithoutWholeShare(value), WithoutWholeShare(saved[key])), $"{key} is {saved[key]?.ToJsonString()} and {value?.ToJsonString()} to transformers 5");
    }

    /// <summary>A share of 1 is the format's own and need not be said.</summary>
    private static JsonNode? WithoutWholeShare(JsonNode? value)
    {
        if (value is not JsonObject parameters || (double?)parameters["partial_rotary_factor"] != 1) return value;
        var copy = (JsonObject)parameters.DeepClone();
        copy.Remove("partial_rotary_factor");
        return copy;
    }

    [Theory]
    [InlineData("gpt2", "n_ctx", "128")]
    [InlineData("gpt2", "torch_dtype", "\"float32\"")]
    [InlineData("gpt_neox", "rotary_pct", "0.25")]
    [InlineData("gpt_neox", "rotary_emb_base", "10000.0")]
    [InlineData("gpt_neox_sequential", "rotary_pct", "0.5")]
    [InlineData("llama3_rope", "rope_scaling", """{"rope_type":"llama3","factor":8.0,"high_freq_factor":4.0,"low_freq_factor":1.0,"original_max_position_embeddings":64}""")]
    [InlineData("qwen2", "rope_theta", "1000000.0")]
    [InlineData("gemma", "hidden_activation", "\"gelu_pytorch_tanh\"")]
    [InlineData("t5_v1_1", "tie_word_embeddings", "false")]
    [InlineData("t5_v1_1", "scale_decoder_outputs", "false")]
    [InlineData("t5", "tie_word_embeddings", "true")]
    public void What_converters_ask_for_is_written(string name, string key, string value)
    {
        Save(Fixture.PathOf(name));
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(value), Configuration()[key]), Configuration()[key]?.ToJsonString());
    }

    [Fact]
    public void A_linear_scaling_is_written_as_its_first_readers_demand()
    {
        // Those take two fields, "type" and "factor", and stop at any other.
        using var source = new RewrittenFolder("llama").Json("config.json", json => json["rope_parameters"] = JsonNode.Parse("""{"rope_theta": 500000, "rope_type": "linear", "factor": 4}"""));
        Save(source.Folder);
        var saved = Configuration();
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""{"type": "linear", "factor": 4.0}"""), saved["rope_scaling"]));
        Assert.Contains("\"factor\": 4.0", File.ReadAllText(_folder.File("config.json")), StringComparison.Ordinal);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""{"factor": 4.0, "rope_theta": 500000.0, "rope_type": "linear"}"""), saved["rope_parameters"]));
        Assert.Equal(500_000, (double)saved["rope_theta"]!);
    }

    [Fact]
    public void A_stale_base_beside_rope_parameters_is_corrected()
    {
        // transformers 5 takes the base in rope_parameters, so that is the model's.
        using var right = new RewrittenFolder("llama").Json("config.json", json => json["rope_parameters"]!["rope_theta"] = 500_000.0);
        using var stale = new RewrittenFolder("llama").Json("config.json", json =>
        {
            json["rope_parameters"]!["rope_theta"] = 500_000.0;
            json["rope_theta"] = 10_000.0;
            json["rope_scaling"] = null;
        });
        var logits = Logits(right.Folder);
        Assert.True((logits - Logits(Fixture.PathOf("llama"))).abs().max().item<float>() > 0.1);
        Fixture.Close(logits, Logits(stale.Folder), 0);
        Save(stale.Folder);
        Assert.Equal(500_000, (double)Configuration()["rope_theta"]!);
        Assert.Equal(500_000, (double)Configuration()["rope_parameters"]!["rope_theta"]!);
    }

    [Fact]
    public void Where_rope_scaling_says_something_it_counts_with_the_base_beside_it()
    {
        // So in both versions: 4 doesn't know rope_parameters, 5 passes over it.
        using var folder = new RewrittenFolder("llama3_rope").Json("config.json", json =>
        {
            json["rope_scaling"] = JsonNode.Parse("""{"type": "linear", "factor": 2.0}""");
            json["rope_theta"] = 20_000.0;
        });
        using var expected = new RewrittenFolder("llama3_rope").Json("config.json", json => json["rope_parameters"] = JsonNode.Parse("""{"rope_theta": 20000.0, "rope_type": "linear", "factor": 2.0}"""));
        Fixture.Close(Logits(expected.Folder), Logits(folder.Folder), 0);
        Save(folder.Folder);
        Fixture.Close(Logits(expected.Folder), Logits(_folder.Path), 0);
    }

    [Theory]
    [InlineData("llama3_rope")]
    [InlineData("gpt_neox_sequential")]
    [InlineData("qwen2")]
    [InlineData("gemma")]
    [InlineData("phi3")]
    public void Each_form_alone_gives_the_fixtures_logits(string name)
    {
        using var fixture = new Fixture(name);
        Save(fixture.Folder);
        var saved = Configuration();
        foreach (var form in (string[][])[["rope_parameters", "dtype"], ["rope_scaling", "rope_theta", "rotary_pct", "rotary_emb_base", "partial_rotary_factor", "torch_dtype", "hidden_activation"]])
        {
            var without = (JsonObject)saved.DeepClone();
            foreach (var key in form) without.Remove(key);
            File.WriteAllText(_folder.File("config.json"), without.ToJsonString());
            using var model = LanguageModelFolder.Load(_folder.Path);
            Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), 1e-4);
        }
    }

    [Fact]
    public void A_classifier_and_a_converted_GGUF_file_are_written_so_too()
    {
        using (var classifier = SequenceClassifierFolder.Load(Fixture.PathOf("llama_reward"))) SequenceClassifierFolder.Save(classifier, _folder.Path);
        Assert.Equal(10_000, (double)Configuration()["rope_theta"]!);
        Assert.Equal("float32", (string?)Configuration()["torch_dtype"]);

        File.WriteAllBytes(_folder.File("model.gguf"), GgufOfFolder.Write(Fixture.PathOf("qwen2"), new GgufWriter().Text("tokenizer.ggml.pre", "qwen2")).ToArray());
        Rlgf.Models.Conversion.GgufConversion.Convert(_folder.File("model.gguf"), _folder.Path, ScalarType.BFloat16);
        Assert.Equal(1_000_000, (double)Configuration()["rope_theta"]!);
        Assert.Equal(1_000_000, (double)Configuration()["rope_parameters"]!["rope_theta"]!);
        Assert.Equal("bfloat16", (string?)Configuration()["torch_dtype"]);
        Assert.Equal("PreTrainedTokenizerFast", (string?)Read(_folder.File("tokenizer_config.json"))["tokenizer_class"]);
    }

    [Theory]
    [InlineData("llama", "PreTrainedTokenizerFast", null)]
    [InlineData("qwen2", "Qwen2Tokenizer", """["<|im_start|>","<|im_end|>"]""")]
    public void A_tokenizers_configuration_is_one_that_transformers_4_reads(string name, string className, string? specialTokens)
    {
        TokenizerFolder.Copy(Fixture.PathOf(name), _folder.Path);
        var (original, saved) = (Read(Path.Combine(Fixture.PathOf(name), "tokenizer_config.json")), Read(_folder.File("tokenizer_config.json")));
        Assert.Equal(className, (string?)saved["tokenizer_class"]);
        Assert.False(saved.ContainsKey("extra_special_tokens"));
        Assert.True(JsonNode.DeepEquals(specialTokens is null ? null : JsonNode.Parse(specialTokens), saved["additional_special_tokens"]));
        foreach (var (key, value) in original.Where(pair => pair.Key is not ("tokenizer_class" or "extra_special_tokens"))) Assert.True(JsonNode.DeepEquals(value, saved[key]), key);
        var (before, after) = (TokenizerFolder.Load(Fixture.PathOf(name)), TokenizerFolder.Load(_folder.Path));
        foreach (var text in (string[])["Hello world", " 1999 <|im_end|> été", "<s>a</s>"]) Assert.Equal(before.Encode(text), after.Encode(text));
    }

    private void Save(string folder)
    {
        if (FolderConfiguration.Read(folder).IsClassifier)
        {
            using var classifier = SequenceClassifierFolder.Load(folder);
            SequenceClassifierFolder.Save(classifier, _folder.Path);
            return;
        }

        using var model = LanguageModelFolder.Load(folder);
        LanguageModelFolder.Save(model, _folder.Path, (string?)FolderConfiguration.Read(folder).ToJson()["dtype"] switch { "float16" => ScalarType.Float16, "bfloat16" => ScalarType.BFloat16, _ => ScalarType.Float32 });
    }

    private static Tensor Logits(string folder)
    {
        using var model = LanguageModelFolder.Load(folder);
        return Fixture.AllLogits(model, [[5, 6, 7, 8, 9, 10, 11, 12]]);
    }

    private JsonObject Configuration() => Read(_folder.File("config.json"));

    private static JsonObject Read(string path) => JsonNode.Parse(File.ReadAllText(path))!.AsObject();
}
