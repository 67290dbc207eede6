using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Models.Conversion;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints.Gguf;

/// <summary>Exports against what llama.cpp's own converter made of the same folders: the same keys with the same values, the same tensors byte for byte.</summary>
public sealed class GgufExportTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = NewDisposeScope();

    private string Exported => _folder.File("exported.gguf");

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    /// <summary>Merging is by rows, so that no weight with what is added to it is whole in memory; small models have all rows in one piece.</summary>
    [Theory]
    [InlineData("gpt2_lora")]
    [InlineData("llama_lora_all")]
    public void Rows_of_what_an_adapter_adds_are_those_of_the_whole(string name)
    {
        using var gradients = no_grad();
        using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
        var weights = ModuleWeights.Named(model.Module).ToDictionary(StringComparer.Ordinal);
        var adapted = LoraAdapters.Adaptable(model.Module).Where(named => named.Part.Adapter is not null).ToArray();
        Assert.NotEmpty(adapted);
        Assert.All(adapted, named =>
        {
            var weight = weights[$"{named.Name}.weight"];
            var rows = weight.shape[0];
            var added = cat([named.Part.AddedRows(0, 3), named.Part.AddedRows(3, rows - 5), named.Part.AddedRows(rows - 2, 2)]);
            Assert.True((weight + added).allclose(named.Part.MergedWeight(), 1e-6, 1e-7), named.Name);
        });
    }

    [Theory]
    [InlineData("llama", GgufFileType.F32, "llama.f32")]
    [InlineData("gpt2", GgufFileType.F32, "gpt2.f32")]
    [InlineData("gpt2", GgufFileType.Q8_0, "gpt2.q8_0")]
    [InlineData("qwen2", GgufFileType.F32, "qwen2.f32")]
    [InlineData("qwen3", GgufFileType.Q8_0, "qwen3.q8_0")]
    [InlineData("gemma", GgufFileType.F32, "gemma.f32")]
    [InlineData("gemma", GgufFileType.Q8_0, "gemma.q8_0")]
    [InlineData("llama3_rope", GgufFileType.F32, "llama3_rope.f32")]
    [InlineData("mistral", GgufFileType.F32, "mistral.f32")]
    [InlineData("t5", GgufFileType.F32, "t5.f32")]
    public void Keys_and_tensors_are_those_of_the_converter_of_llama_cpp(string name, GgufFileType type, string converted)
    {
        // The window of Mistral's fixture is 4, which the converter took no notice of: that file says 128.
        Write(name, type, name == "mistral" ? 4 : null);
        using var theirs = GgufFile.Open(Path.Combine(AppContext.BaseDirectory, "fixtures", "gguf", $"{converted}.gguf"));
        using var ours = GgufFile.Open(Exported);

        // Ours always says whether a text begins with the begin token; theirs only where it does.
        HashSet<string> differing = ["tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_sep_token"];
        if (name == "mistral") differing.Add("llama.context_length");
        // It goes by eos_token_id alone, and this chat template ends an answer by another token.
        if (name == "llama3_rope")
        {
            differing.Add("tokenizer.ggml.eot_token_id");
            Assert.Equal("<|eot_id|>", ours.Metadata.Texts("tokenizer.ggml.tokens")![ours.Metadata.Whole("tokenizer.ggml.eot_token_id")!.Value]);
        }

        // Of Gemma it takes the token 107 for the end of a turn, and no space before a text, whatever the tokenizer says; this one has a space.
        if (name == "gemma") differing.UnionWith(["tokenizer.ggml.eot_token_id", "tokenizer.ggml.add_space_prefix"]);
        // It took T5's pieces from the other file, which lacks the sentinels.
        if (name == "t5") differing.UnionWith(["tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type", "tokenizer.ggml.precompiled_charsmap"]);
        Assert.Equal(KeysOf(theirs), KeysOf(ours));
        foreach (var key in KeysOf(theirs)) Assert.Equal((key, ValueOf(theirs, key)), (key, ValueOf(ours, key)));

        string[] added = name == "t5" ? ["output.weight"] : [];
        Assert.Equal([.. theirs.Tensors.Keys.Concat(added).Order(StringComparer.Ordinal)], ours.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var (tensor, entry) in theirs.Tensors)
        {
            Assert.Equal((tensor, entry.Type), (tensor, ours.Tensors[tensor].Type));
            Assert.Equal(entry.Shape, ours.Tensors[tensor].Shape);
            if (tensor == "rope_freqs.weight")
            {
                // Computed there step by step in float32.
                Assert.All(theirs.Read(tensor).Zip(ours.Read(tensor)), pair => Assert.Equal(pair.First, pair.Second, 1e-5f * pair.First));
                continue;
            }

            Assert.True(Stored(theirs, tensor).AsSpan().SequenceEqual(Stored(ours, tensor)), tensor);
        }

        IEnumerable<string> KeysOf(GgufFile file) => file.Metadata.Keys.Where(key => !differing.Contains(key)).Order(StringComparer.Ordinal);
    }

    /// <summary>A file of llama.cpp's converter, or one of ours in halves, converted to a folder and exported again.</summary>
    [Theory]
    [InlineData("llama", null, GgufFileType.F32)]
    [InlineData("mistral", null, GgufFileType.F32)]
    [InlineData("qwen2", null, GgufFileType.F32)]
    [InlineData("llama", GgufFileType.F16, GgufFileType.F16)]
    [InlineData("qwen2", GgufFileType.BF16, GgufFileType.BF16)]
    public void A_file_that_was_read_in_is_written_out_with_the_same_bytes(string name, GgufFileType? ownType, GgufFileType type)
    {
        var first = ownType is null ? Path.Combine(AppContext.BaseDirectory, "fixtures", "gguf", $"{name}.f32.gguf") : _folder.File("first.gguf");
        if (ownType is { } own)
        {
            Write(name, own);
            File.Move(Exported, first);
        }

        var folder = _folder.File("converted");
        GgufConversion.Convert(first, folder, ScalarType.Float32);
        GgufExport.Write(folder, Exported, new GgufExportSettings { Type = type, Name = name });
        using var before = GgufFile.Open(first);
        using var after = GgufFile.Open(Exported);
        Assert.Equal(before.Tensors.Keys.Order(StringComparer.Ordinal), after.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var (tensor, entry) in before.Tensors)
        {
            Assert.Equal((tensor, entry.Type), (tensor, after.Tensors[tensor].Type));
            Assert.True(Stored(before, tensor).AsSpan().SequenceEqual(Stored(after, tensor)), tensor);
        }

        foreach (var key in (string[])["tokens", "scores", "merges", "token_type", "eos_token_id", "bos_token_id"])
            if (before.Metadata.Keys.Contains($"tokenizer.ggml.{key}")) Assert.Equal(ValueOf(before, $"tokenizer.ggml.{key}"), ValueOf(after, $"tokenizer.ggml.{key}"));
    }

    [Fact]
    public void A_head_that_is_a_t5s_embedding_is_stored_scaled()
    {
        Write("t5", GgufFileType.F32);
        using var ours = GgufFile.Open(Exported);
        // T5 multiplies states by D^−½ before such a head; D is 32.
        Assert.All(ours.Read("token_embd.weight").Zip(ours.Read("output.weight")), pair => Assert.Equal(pair.First / MathF.Sqrt(32), pair.Second, 1e-6f));
    }

    [Fact]
    public void A_sentencepiece_vocabulary_without_bytes_is_refused()
    {
        var folder = Directory.CreateDirectory(_folder.File("no-bytes")).FullName;
        var path = Path.Combine(folder, "tokenizer.json");
        File.WriteAllText(path, File.ReadAllText(Path.Combine(Fixture.PathOf("llama"), "tokenizer.json")).Replace("\"<0x", "\"<1x", StringComparison.Ordinal));
        var settings = new GgufExportSettings { Type = GgufFileType.F32, Name = "m", TokenizerFolder = folder };
        Assert.Contains("no piece for any byte nor, so, for a newline", Assert.Throws<InputException>(() => GgufExport.Write(Fixture.PathOf("llama"), Exported, settings)).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Exported));
    }

    [Fact]
    public void A_name_under_which_llama_cpp_would_not_load_the_vocabulary_is_refused()
    {
        var settings = new GgufExportSettings { Type = GgufFileType.F32, Name = "My Phi-3", TokenizerFolder = Fixture.PathOf("llama") };
        Assert.Contains("no token <|endoftext|>", Assert.Throws<InputException>(() => GgufExport.Write(Fixture.PathOf("phi3"), Exported, settings)).Message, StringComparison.Ordinal);
    }

    private GgufExported Write(string name, GgufFileType type, int? context = null) =>
        GgufExport.Write(name == "t5" ? T5() : Fixture.PathOf(name), Exported, new GgufExportSettings { Type = type, Name = name, ContextLength = context, TokenizerFolder = TokenizerOf(name) });

    /// <summary>The fixture tells distances up to 20 apart, which llama.cpp's T5 can't; the converter took no notice of it.</summary>
    private string T5()
    {
        var folder = Directory.CreateDirectory(_folder.File("t5")).FullName;
        foreach (var file in Directory.EnumerateFiles(Fixture.PathOf("t5"))) File.WriteAllBytes(Path.Combine(folder, Path.GetFileName(file)), File.ReadAllBytes(file));
        var configuration = Path.Combine(folder, "config.json");
        File.WriteAllText(configuration, File.ReadAllText(configuration).Replace("\"relative_attention_max_distance\": 20", "\"relative_attention_max_distance\": 128", StringComparison.Ordinal));
        return folder;
    }

    /// <summary>The fixtures of a kind have one tokenizer, which is kept once.</summary>
    private string TokenizerOf(string name)
    {
        if (name == "qwen3") return Fixture.PathOf("qwen2");
        if (name is not ("llama" or "gemma" or "mistral")) return Fixture.PathOf(name);
        var folder = Directory.CreateDirectory(_folder.File("tokenizer")).FullName;
        foreach (var file in (string[])["tokenizer.json", "tokenizer_config.json"]) File.Copy(Path.Combine(Fixture.PathOf("llama"), file), Path.Combine(folder, file));
        File.Copy(Path.Combine(AppContext.BaseDirectory, "fixtures", "gguf", "chat_template.jinja"), Path.Combine(folder, "chat_template.jinja"));
        return folder;
    }

    private static byte[] Stored(GgufFile file, string tensor)
    {
        var bytes = new byte[file.Tensors[tensor].Bytes];
        file.ReadStored(tensor, 0, bytes);
        return bytes;
    }

    private static string ValueOf(GgufFile file, string key)
    {
        var metadata = file.Metadata;
        return key[(key.LastIndexOf('.') + 1)..] switch
        {
            "tokens" or "merges" => string.Join('\n', metadata.Texts(key)!),
            // They write the first as −0.
            "scores" => string.Join('\n', metadata.Numbers(key)!.Select(score => score + 0)),
            "token_type" or "precompiled_charsmap" => string.Join('\n', metadata.Wholes(key)!),
            _ => metadata.Shown(key),
        };
    }
}
