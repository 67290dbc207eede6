using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Conversion;
using Rlgf.Models.Loading;
using Rlgf.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints.Gguf;

/// <summary>A folder that became a GGUF file and is converted back is the same model with the same tokenizer.</summary>
public sealed class GgufConversionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    public GgufConversionTests() => TorchRuntime.Load();

    private string Result => _folder.File("result");

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("llama", null)]
    [InlineData("llama3_rope", "llama-bpe")]
    [InlineData("qwen2", "qwen2")]
    public void Weights_logits_and_token_ids_come_back(string name, string? words)
    {
        using var fixture = new Fixture(name);
        Convert(name, words, ScalarType.Float32);

        using (var original = SafetensorsFile.Open(Path.Combine(fixture.Folder, "model.safetensors")))
        using (var converted = SafetensorsFile.Open(Path.Combine(Result, "model.safetensors")))
        {
            Assert.Equal(original.Entries.Keys.Order(StringComparer.Ordinal), converted.Entries.Keys.Order(StringComparer.Ordinal));
            foreach (var tensor in original.Entries.Keys) Assert.True(original.Read(tensor).bytes.SequenceEqual(converted.Read(tensor).bytes), tensor);
        }

        using var model = LanguageModelFolder.Load(Result);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), 1e-4);
    }

    [Theory]
    [InlineData("llama", null)]
    [InlineData("llama3_rope", "llama-bpe")]
    [InlineData("qwen2", "qwen2")]
    public void The_configuration_says_what_the_original_says(string name, string? words)
    {
        Convert(name, words, ScalarType.BFloat16);
        var original = JsonNode.Parse(File.ReadAllText(Path.Combine(Fixture.PathOf(name), "config_v4.json")))!.AsObject();
        var converted = FolderConfiguration.Read(Result).ToJson();
        // What a GGUF file has no place for, and what each writer says about itself.
        foreach (var key in (string[])["transformers_version", "torch_dtype", "pretraining_tp", "layer_types", "max_window_layers", "sliding_window"]) original.Remove(key);
        foreach (var (key, value) in original)
        {
            if (key == "rope_scaling" && value is not null) Assert.All(value.AsObject(), pair => Assert.True(JsonNode.DeepEquals(pair.Value, converted[key]![pair.Key]), pair.Key));
            else if (value is JsonValue number && number.GetValueKind() == System.Text.Json.JsonValueKind.Number) Assert.Equal((double)value, (double)converted[key]!, 1e-6 * (double)value);
            else Assert.True(JsonNode.DeepEquals(value, converted[key]), $"{key}: {value} became {converted[key]}");
        }

        Assert.Equal("bfloat16", (string?)converted["dtype"]);
    }

    [Theory]
    [InlineData("llama", null)]
    [InlineData("llama3_rope", "llama-bpe")]
    [InlineData("qwen2", "qwen2")]
    [InlineData("gpt2", "gpt-2")]
    public void The_tokenizer_is_the_original_one(string name, string? words)
    {
        var writer = new GgufWriter();
        GgufOfFolder.WriteTokenizer(Path.Combine(Fixture.PathOf(name), "tokenizer.json"), FolderConfiguration.Read(Fixture.PathOf(name)).ToJson(), writer);
        if (words is not null) writer.Text("tokenizer.ggml.pre", words);
        var converted = TokenizerOf(writer).ToTokenizerJson();
        var original = JsonNode.Parse(File.ReadAllText(Path.Combine(Fixture.PathOf(name), "tokenizer.json")))!;
        foreach (var section in (string[])["normalizer", "pre_tokenizer", "decoder", "post_processor", "added_tokens"])
            Assert.Equal(Essence(original[section]), Essence(converted[section]));
        Assert.Equal(Merges(original), Merges(converted));
        foreach (var key in (string[])["fuse_unk", "byte_fallback", "ignore_merges"]) Assert.Equal((bool)original["model"]![key]!, (bool)converted["model"]![key]!);
        foreach (var (token, id) in original["model"]!["vocab"]!.AsObject()) Assert.Equal((int)id!, (int)converted["model"]!["vocab"]![token]!);
    }

    [Theory]
    [InlineData("llama_rope_linear")]
    [InlineData("qwen2")]
    [InlineData("qwen3")]
    [InlineData("gemma")]
    [InlineData("granite")]
    [InlineData("olmo2")]
    [InlineData("stablelm")]
    public void A_file_by_the_converter_of_llama_cpp_becomes_the_checkpoint_that_it_was_made_of(string name)
    {
        using var fixture = new Fixture(name);
        GgufConversion.Convert(Path.Combine(AppContext.BaseDirectory, "fixtures", "gguf", $"{name}.f32.gguf"), Result, ScalarType.Float32);
        using (var original = SafetensorsFile.Open(Path.Combine(fixture.Folder, "model.safetensors")))
        using (var converted = SafetensorsFile.Open(Path.Combine(Result, "model.safetensors")))
        {
            Assert.Equal(original.Entries.Keys.Order(StringComparer.Ordinal), converted.Entries.Keys.Order(StringComparer.Ordinal));
            // 1 + w is rounded before it is stored.
            foreach (var tensor in original.Entries.Keys) Fixture.Close(original.Read(tensor), converted.Read(tensor), name == "gemma" && tensor.Contains("norm", StringComparison.Ordinal) ? 1e-6 : 0);
        }

        using var model = LanguageModelFolder.Load(Result);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), 1e-4);
        Assert.Equal((int)model.Configuration["vocab_size"]!, model.Shape.Vocabulary);
        Assert.True(TokenizerFolder.Load(Result).VocabularySize <= model.Shape.Vocabulary);
    }

    [Fact]
    public void Where_a_folder_is_asked_for_a_file_that_is_converted_is_sent_to_convert_and_another_is_not()
    {
        var files = Path.Combine(AppContext.BaseDirectory, "fixtures", "gguf");
        string Refused(string file) => Assert.Throws<InputException>(() => LanguageModelFolder.Load(Path.Combine(files, file))).Message;
        Assert.EndsWith($"rlgf convert {Path.Combine(files, "granite.f32.gguf")} FOLDER", Refused("granite.f32.gguf"), StringComparison.Ordinal);
        var gpt2 = Refused("gpt2.q8_0.gguf");
        Assert.Contains("general.architecture is 'gpt2', which isn't converted", gpt2, StringComparison.Ordinal);
        Assert.DoesNotContain("rlgf convert", gpt2, StringComparison.Ordinal);
        // In a folder in place of weights.
        File.Copy(Path.Combine(Fixture.PathOf("granite"), "config.json"), _folder.File("config.json"));
        File.Copy(Path.Combine(files, "granite.f32.gguf"), _folder.File("model.gguf"));
        Assert.Contains("convert model.gguf first (rlgf convert ", Assert.Throws<InputException>(() => LanguageModelFolder.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("attention.scale", "1")]
    [InlineData("embedding_scale", "1")]
    [InlineData("residual_scale", "1")]
    [InlineData("logit_scale", "1")]
    [InlineData("embedding_scale", "0")] // none is 1
    public void Granites_factors_are_read(string key, string value)
    {
        using var fixture = new Fixture("granite");
        var path = Path.Combine(AppContext.BaseDirectory, "fixtures", "gguf", "granite.f32.gguf");
        var bytes = File.ReadAllBytes(path);
        // A key's name, its type (6, float32) and its value stand one after the other.
        var at = bytes.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes($"granite.{key}")) + $"granite.{key}".Length;
        Assert.Equal(6, bytes[at]);
        BitConverter.TryWriteBytes(bytes.AsSpan(at + 4), float.Parse(value, System.Globalization.CultureInfo.InvariantCulture));
        File.WriteAllBytes(_folder.File("changed.gguf"), bytes);
        GgufConversion.Convert(_folder.File("changed.gguf"), Result, ScalarType.Float32);
        using var model = LanguageModelFolder.Load(Result);
        var moved = (fixture.Tensor("logits") - Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!))).abs().max().item<float>();
        Assert.True(moved > 0.02, $"{moved}");
    }

    [Fact]
    public void Digits_stand_alone_in_the_words_of_smollm()
    {
        var json = TokenizerOf(Bytes().Text("tokenizer.ggml.pre", "smollm")).ToTokenizerJson();
        Assert.Equal(
            """{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]}""",
            json["pre_tokenizer"]!.ToJsonString());
    }

    [Fact]
    public void Bos_eos_the_end_of_a_turn_and_the_chat_template_are_kept()
    {
        Convert("llama3_rope", "llama-bpe", ScalarType.Float32, writer => writer.Whole("tokenizer.ggml.eot_token_id", 419).Text("tokenizer.chat_template", "{{ bos_token }}é"));
        var generation = JsonNode.Parse(File.ReadAllText(Path.Combine(Result, "generation_config.json")))!;
        Assert.Equal([415, 419], generation["eos_token_id"]!.AsArray().Select(id => (int)id!));
        var configuration = JsonNode.Parse(File.ReadAllText(Path.Combine(Result, "tokenizer_config.json")))!;
        Assert.Equal("{{ bos_token }}é", (string?)configuration["chat_template"]);
        Assert.Equal("<|begin_of_text|>", (string?)configuration["bos_token"]);
        Assert.Equal("<|end_of_text|>", (string?)configuration["eos_token"]);
        Assert.Equal(512, (int)configuration["model_max_length"]!);
        var tokenizer = TokenizerFolder.Load(Result);
        Assert.Equal(414, tokenizer.Encode("a", addSpecialTokens: true)[0]);
    }

    [Fact]
    public void Text_without_a_space_before_it_where_the_file_says_so()
    {
        var writer = new GgufWriter().Flag("tokenizer.ggml.add_space_prefix", false).Flag("tokenizer.ggml.add_bos_token", false);
        GgufOfFolder.WriteTokenizer(Path.Combine(Fixture.PathOf("llama"), "tokenizer.json"), FolderConfiguration.Read(Fixture.PathOf("llama")).ToJson(), writer);
        var json = TokenizerOf(writer).ToTokenizerJson();
        Assert.Equal("Replace", (string?)json["normalizer"]!["type"]);
        Assert.Equal(3, json["decoder"]!["decoders"]!.AsArray().Count);
        Assert.Null(json["post_processor"]);
    }

    [Theory]
    [InlineData("tokenizer.ggml.model", "bert", "is 'bert' (WordPiece), a tokenizer that isn't read")]
    [InlineData("tokenizer.ggml.model", "t5", "is 't5' (SentencePiece's unigram model), a tokenizer that isn't read")]
    [InlineData("tokenizer.ggml.pre", "deepseek-llm", "is 'deepseek-llm', a way to cut text into words that isn't known")]
    [InlineData("general.architecture", "gpt2", "is 'gpt2', which isn't converted; llama, qwen2, qwen3, gemma, granite, olmo2, stablelm are")]
    public void Another_family_or_tokenizer_is_refused_by_name(string key, string value, string message) =>
        Assert.Contains($"{key} {message}", Refused(writer => writer.Text(key, value).Without(key)), StringComparison.Ordinal);

    [Fact]
    public void What_is_missing_or_contradictory_is_refused()
    {
        Assert.Contains("qwen2.block_count is missing", Refused(writer => writer.Without("qwen2.block_count")), StringComparison.Ordinal);
        Assert.Contains("tokenizer.ggml.model is missing", Refused(writer => writer.Without("tokenizer.ggml.model")), StringComparison.Ordinal);
        Assert.Contains("tokenizer.ggml.merges is missing", Refused(writer => writer.Without("tokenizer.ggml.merges")), StringComparison.Ordinal);
        Assert.Contains("'blk.1.attn_k.bias' is missing; 'blk.1.ffn_up.weight' is missing", Refused(writer => writer.Without("blk.1.attn_k.bias").Without("blk.1.ffn_up.weight")), StringComparison.Ordinal);
        Assert.Contains("'blk.7.attn_k.bias' is unexpected", Refused(writer => writer.Floats("blk.7.attn_k.bias", [1], 1)), StringComparison.Ordinal);
        Assert.Contains("'blk.0.attn_q.bias' has the shape [3] where [48] follows", Refused(writer => writer.Floats("blk.0.attn_q.bias", [3], 1, 2, 3).Without("blk.0.attn_q.bias")), StringComparison.Ordinal);
        Assert.Contains("head_count_kv is 3", Refused(writer => writer.Whole("qwen2.attention.head_count_kv", 3).Without("qwen2.attention.head_count_kv")), StringComparison.Ordinal);
        Assert.Contains("rope.scaling.type is 'yarn'", Refused(writer => writer.Text("qwen2.rope.scaling.type", "yarn")), StringComparison.Ordinal);
        Assert.Contains("mixtures of experts", Refused(writer => writer.Whole("qwen2.expert_count", 8)), StringComparison.Ordinal);
        Assert.Contains("bos_token_id is 5000, and there are", Refused(writer => writer.Whole("tokenizer.ggml.bos_token_id", 5000)), StringComparison.Ordinal);
        Assert.Contains("merges has 'a bcd'", Refused(writer => writer.Texts("tokenizer.ggml.merges", ["a bcd"]).Without("tokenizer.ggml.merges")), StringComparison.Ordinal);
        Assert.Contains("tokens has 'a' twice, as 0 and 1", Refused(writer => writer.Texts("tokenizer.ggml.tokens", ["a", "a"]).Without("tokenizer.ggml.tokens").Without("tokenizer.ggml.token_type")), StringComparison.Ordinal);
        Assert.Contains("not those of Llama 3's scaling", Refused(writer => writer.Floats("rope_freqs.weight", [6], 1, 2, 3, 4, 5, 6)), StringComparison.Ordinal);
    }

    [Fact]
    public void Scores_that_are_all_equal_do_not_say_in_which_order_tokens_are_joined()
    {
        var writer = new GgufWriter().Numbers("tokenizer.ggml.scores", new float[500]).Without("tokenizer.ggml.scores");
        GgufOfFolder.WriteTokenizer(Path.Combine(Fixture.PathOf("llama"), "tokenizer.json"), FolderConfiguration.Read(Fixture.PathOf("llama")).ToJson(), writer);
        Assert.Contains("are all equal", Assert.Throws<InputException>(() => TokenizerOf(writer).ToTokenizerJson()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_number_beyond_float16_is_refused_rather_than_made_infinite() =>
        Assert.Contains("beyond the range of float16", Refused(writer => writer.Floats("output_norm.weight", [48], [70_000f, .. new float[47]]).Without("output_norm.weight")), StringComparison.Ordinal);

    /// <summary>A tokenizer of the 256 bytes and nothing else.</summary>
    private static GgufWriter Bytes() => new GgufWriter().Text("tokenizer.ggml.model", "gpt2").Texts("tokenizer.ggml.tokens", [.. Enumerable.Range(0, 256).Select(value => ((char)(0x100 + value)).ToString())]).Texts("tokenizer.ggml.merges", []);

    private static string Merges(JsonNode tokenizer) => string.Join('\n', tokenizer["model"]!["merges"]!.AsArray().Select(merge => merge is JsonArray pair ? $"{pair[0]} {pair[1]}" : (string)merge!));

    /// <summary>A section in one order of keys; the prefix space of post-processors and decoders, which has no effect there, is left out.</summary>
    private static string Essence(JsonNode? section, string under = "") => section switch
    {
        JsonObject json => $"{{{string.Join(",", json.Where(pair => pair.Key != "add_prefix_space").OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}:{Essence(pair.Value, pair.Key)}"))}}}",
        JsonArray list => $"[{string.Join(",", list.Select(item => Essence(item, under)))}]",
        null => "null",
        _ => section.ToJsonString(),
    };

    private GgufTokenizer TokenizerOf(GgufWriter writer)
    {
        File.WriteAllBytes(_folder.File("tokenizer.gguf"), writer.ToArray());
        using var file = GgufFile.Open(_folder.File("tokenizer.gguf"));
        return new GgufTokenizer(file.Metadata);
    }

    private void Convert(string name, string? words, ScalarType type, Action<GgufWriter>? change = null)
    {
        var writer = new GgufWriter();
        if (words is not null) writer.Text("tokenizer.ggml.pre", words);
        change?.Invoke(writer);
        File.WriteAllBytes(_folder.File("model.gguf"), GgufOfFolder.Write(Fixture.PathOf(name), writer).ToArray());
        GgufConversion.Convert(_folder.File("model.gguf"), Result, type);
    }

    private string Refused(Action<GgufWriter> change)
    {
        var fault = Assert.Throws<InputException>(() => Convert("qwen2", null, ScalarType.Float16, writer =>
        {
            change(writer);
            writer.Text("tokenizer.ggml.pre", "qwen2");
        }));
        Assert.StartsWith(_folder.Path, fault.Message, StringComparison.Ordinal);
        return fault.Message;
    }
}
