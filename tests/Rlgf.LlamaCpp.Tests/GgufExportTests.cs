using System.Text;
using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Models;
using Rlgf.Models.Conversion;
using Rlgf.Models.Loading;
using Rlgf.Tests.Shared;
using Rlgf.Tokenizers;

namespace Rlgf.LlamaCpp.Tests;

/// <summary>Exports in llama.cpp's hands: each family computes what the folder computes, and tokenizers give the same ids.</summary>
public sealed class GgufExportTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rlgf-gguf-").FullName;

    private string Exported => Path.Combine(_folder, "exported.gguf");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("llama", GgufFileType.F32, 1e-4)]
    [InlineData("llama3_rope", GgufFileType.F32, 1e-4)]
    [InlineData("qwen2", GgufFileType.F32, 1e-4)]
    [InlineData("qwen3", GgufFileType.F32, 1e-4)]
    [InlineData("phi3", GgufFileType.F32, 1e-4)]
    // Its gelu is a table in float16.
    [InlineData("gemma", GgufFileType.F32, 2e-3)]
    [InlineData("gpt2", GgufFileType.F32, 2e-3)]
    [InlineData("gpt2_lora", GgufFileType.F32, 2e-3)]
    // And of the tanh form, where the model has the exact one.
    [InlineData("gpt_neox", GgufFileType.F32, 2e-3)]
    [InlineData("gpt_neox_sequential", GgufFileType.F32, 2e-3)]
    // An adapter on the embedding and the head too.
    [InlineData("llama_lora_all", GgufFileType.F32, 1e-4)]
    [InlineData("llama", GgufFileType.F16, 0.01)]
    [InlineData("gemma", GgufFileType.Q8_0, 0.15)]
    [InlineData("gpt2", GgufFileType.Q4_K_M, 0.8)]
    public void Every_family_is_the_same_model_in_llama_cpp(string name, GgufFileType type, double tolerance)
    {
        var tokenizer = TokenizerOf(name);
        var settings = new GgufExportSettings { Type = type, Name = "a model", TokenizerFolder = tokenizer };
        GgufExport.Write(FolderOf(name), Exported, settings);
        GgufProof proof;
        using (var source = TextModel.Load(FolderOf(name), tokenizer)) proof = new GgufProof(source, type, tokenizer);
        using var model = LlamaCppModel.Load(Exported, GgufFixture.Exact);
        GgufComparison[] comparisons = [proof.CompareOwn(Exported), proof.Compare("llama.cpp", model, model.Tokenize)];
        Assert.All(comparisons, comparison =>
        {
            Assert.Empty(comparison.Faults);
            Assert.InRange(comparison.Mean, 0, tolerance);
        });
    }

    /// <summary>The token that only the chat template says ends an answer; llama.cpp knows usual spellings by itself, and this is none.</summary>
    [Fact]
    public void The_templates_end_of_a_turn_ends_what_llama_cpp_writes()
    {
        var folder = Directory.CreateDirectory(Path.Combine(_folder, "model")).FullName;
        foreach (var file in Directory.EnumerateFiles(FolderOf("qwen2")))
        {
            var copy = Path.Combine(folder, Path.GetFileName(file));
            if (!file.EndsWith(".json", StringComparison.Ordinal)) File.WriteAllBytes(copy, File.ReadAllBytes(file));
            else
            {
                File.WriteAllText(copy, File.ReadAllText(file).Replace("<|im_end|>", "<over>", StringComparison.Ordinal).Replace("\"eos_token\": \"<over>\"", "\"eos_token\": \"<|endoftext|>\"", StringComparison.Ordinal)
                    .Replace("\"eos_token_id\": 419", "\"eos_token_id\": 417", StringComparison.Ordinal));
            }
        }

        GgufExport.Write(folder, Exported, new GgufExportSettings { Type = GgufFileType.F32, Name = "m" });
        using var weights = LLama.LLamaWeights.LoadFromFile(new LLama.Common.ModelParams(Exported) { GpuLayerCount = 0 });
        Assert.Equal((417, 419), ((int)weights.Vocab.EOS!.Value, (int)weights.Vocab.EOT!.Value));
        Assert.True(((LLama.Native.LLamaToken)419).IsEndOfGeneration(weights.Vocab));
        Assert.False(((LLama.Native.LLamaToken)418).IsEndOfGeneration(weights.Vocab));
    }

    [Fact]
    public void A_mistral_within_its_window_is_the_same_model()
    {
        // Beyond it, it isn't: the file says how far it may go.
        GgufExport.Write(FolderOf("mistral"), Exported, new GgufExportSettings { Type = GgufFileType.F32, Name = "m", TokenizerFolder = TokenizerOf("mistral"), ContextLength = 4 });
        using var source = TextModel.Load(FolderOf("mistral"), TokenizerOf("mistral"));
        using var model = LlamaCppModel.Load(Exported, GgufFixture.Exact);
        Assert.Equal(4, model.Shape.ContextLength);
        Assert.Empty(new GgufProof(source, GgufFileType.F32, TokenizerOf("mistral"), 4).Compare("llama.cpp", model, model.Tokenize).Faults);
        var beyond = new GgufExportSettings { Type = GgufFileType.F32, Name = "m", TokenizerFolder = TokenizerOf("mistral"), ContextLength = 5 };
        Assert.Contains("sliding_window is 4 and the context 5", Assert.Throws<InputException>(() => GgufExport.Write(FolderOf("mistral"), Exported, beyond)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_of_another_model_or_with_another_tokenizer_is_no_copy()
    {
        GgufExport.Write(FolderOf("qwen2"), Exported, new GgufExportSettings { Type = GgufFileType.F32, Name = "m" });
        using var source = TextModel.Load(FolderOf("llama3_rope"));
        using var model = LlamaCppModel.Load(Exported, GgufFixture.Exact);
        var comparison = new GgufProof(source, GgufFileType.Q4_0).Compare("llama.cpp", model, model.Tokenize);
        Assert.NotNull(comparison.DifferentText);
        Assert.Collection(
            comparison.Faults,
            fault => Assert.Contains("into other tokens", fault, StringComparison.Ordinal),
            fault => Assert.Contains("log-probabilities differ by", fault, StringComparison.Ordinal));
    }

    [Fact]
    public void A_tokenizer_that_was_trained_here_gives_the_same_ids_for_a_thousand_texts()
    {
        // The quickstart's policy, whose tokenizer 'rlgf tokenizer train' made.
        var folder = Path.Combine(Repository.Root, "assets", "policy");
        GgufExport.Write(folder, Exported, new GgufExportSettings { Type = GgufFileType.Q4_0, Name = "policy" });
        var tokenizer = TokenizerFolder.Load(folder);
        using var model = LlamaCppModel.Load(Exported);
        var random = new Random(5);
        for (var i = 0; i < 1000; i++)
        {
            var text = TextOf(random);
            Assert.True(tokenizer.Encode(text).AsSpan().SequenceEqual(model.Tokenize(text)), text);
        }
    }

    /// <summary>Words, numbers, code, white space, emoji with joiners, Chinese, accents, control characters and any characters at all, put together at random.</summary>
    private static string TextOf(Random random)
    {
        string[] pieces =
        [
            "The film was good", " and it's", " they'LL", "don't", " 12345", " 3.14", "\n", "\n\n  ", "\t", "   ", " 🙂", "👩‍👧🏽", "🏳️‍🌈", "你好，世界", "漢字", "ひらがな", "한국어", " naïve", "Straße", "Привет", "مرحبا", "नमस्ते", "for (int i = 0; i < n; ++i) {",
            "}\r\n", "x_1 >= 0x7f", "\"key\": [null]", "...", "!?", "€", "½", "\u0001", "\u001f", "\u007f", "\u0085", "\u00a0", "\u2028", "\u200b", "\u3000", "ǅ", "ﬁ", "²", "Ⅷ", "_", "'s", " 's", "S", "https://example.org/?a=b#c",
        ];
        var text = new StringBuilder();
        for (var count = random.Next(1, 14); count > 0; count--)
        {
            // Not a null, which ends texts there, and no half of a pair.
            var rune = random.Next(1, 0x2FFFF);
            if (random.Next(5) == 0 && Rune.IsValid(rune)) text.Append(new Rune(rune).ToString());
            else text.Append(pieces[random.Next(pieces.Length)]);
        }

        return text.ToString();
    }

    private static string FolderOf(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "models", name);

    /// <summary>Families of the fixtures share tokenizers, of which one copy is kept.</summary>
    private static string TokenizerOf(string name) => FolderOf(name switch
    {
        "llama" or "gemma" or "phi3" or "mistral" or "llama_lora_all" => "llama",
        "qwen3" => "qwen2",
        "gpt_neox" or "gpt_neox_sequential" or "gpt2_lora" => "gpt2",
        _ => name,
    });
}
