using System.Text.Json.Nodes;
using LLama;
using LLama.Native;
using Rlgf.Gguf;
using Rlgf.Models;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Conversion;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.LlamaCpp.Tests;

/// <summary>Quantised exports against what llama.cpp's own quantiser makes of the same numbers: types and bytes of every tensor.</summary>
public sealed class GgufQuantizerTests : IDisposable
{
    private const int Layers = 8;

    private readonly string _folder = Directory.CreateTempSubdirectory("rlgf-gguf-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(GgufFileType.Q4_0)]
    [InlineData(GgufFileType.Q4_1)]
    [InlineData(GgufFileType.Q5_0)]
    [InlineData(GgufFileType.Q5_1)]
    [InlineData(GgufFileType.Q8_0)]
    [InlineData(GgufFileType.Q6_K)]
    [InlineData(GgufFileType.Q5_K_M)]
    [InlineData(GgufFileType.Q4_K_M)]
    [InlineData(GgufFileType.F16)]
    public void Bytes_are_those_of_the_quantiser_of_llama_cpp(GgufFileType type)
    {
        Compare(type, inner: 512, tied: false);
    }

    [Theory]
    [InlineData(GgufFileType.Q6_K)]
    [InlineData(GgufFileType.Q5_K_M)]
    [InlineData(GgufFileType.Q4_K_M)]
    public void Where_blocks_do_not_fit_another_type_is_taken_and_a_tied_embedding_has_that_of_a_head(GgufFileType type)
    {
        // Rows of 288 in the networks' last maps: no multiple of 256, but of 32.
        var exported = Compare(type, inner: 288, tied: true);
        Assert.Contains($"{Layers} of ", Assert.Single(exported.Notes), StringComparison.Ordinal);
    }

    private GgufExported Compare(GgufFileType type, int inner, bool tied)
    {
        LlamaCppLibrary.Load();
        NativeApi.llama_empty_call();
        var model = Path.Combine(_folder, "model");
        Make(model, inner, tied);
        var tokenizer = Path.Combine(AppContext.BaseDirectory, "fixtures", "models", "llama");
        string plain = Path.Combine(_folder, "plain.gguf"), ours = Path.Combine(_folder, "ours.gguf"), theirs = Path.Combine(_folder, "theirs.gguf");
        GgufExport.Write(model, plain, new GgufExportSettings { Type = GgufFileType.F32, Name = "m", TokenizerFolder = tokenizer });
        var exported = GgufExport.Write(model, ours, new GgufExportSettings { Type = type, Name = "m", TokenizerFolder = tokenizer });
        Assert.True(LLamaQuantizer.Quantize(plain, theirs, (LLamaFtype)(int)type, nthread: 1, quantizeOutputTensor: true));

        using var mine = GgufFile.Open(ours);
        using var other = GgufFile.Open(theirs);
        Assert.Equal((int)type, other.Metadata.Whole("general.file_type"));
        Assert.Equal(other.Tensors.Keys.Order(StringComparer.Ordinal), mine.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, tensor) in other.Tensors)
        {
            Assert.Equal((name, tensor.Type), (name, mine.Tensors[name].Type));
            // The rows in which a byte differs.
            var row = (int)(tensor.Bytes / (tensor.Elements / tensor.Shape[^1]));
            var different = Stored(other, name).Chunk(row).Zip(Stored(mine, name).Chunk(row), (first, second) => first.AsSpan().SequenceEqual(second)).Select((same, index) => (same, index)).Where(pair => !pair.same).Select(pair => pair.index);
            Assert.Equal($"{name}:", $"{name}:{string.Join(' ', different)}");
        }

        return exported;
    }

    private static byte[] Stored(GgufFile file, string name)
    {
        var bytes = new byte[file.Tensors[name].Bytes];
        file.ReadStored(name, 0, bytes);
        return bytes;
    }

    /// <summary>A model of random numbers, of which some blocks are zeros, all alike, only negative, tiny, or have one number far from the others.</summary>
    private static void Make(string folder, int inner, bool tied)
    {
        using var model = LanguageModelFolder.Create(
            new ModelConfiguration(
                new JsonObject
                {
                    ["model_type"] = "llama", ["architectures"] = new JsonArray("LlamaForCausalLM"), ["vocab_size"] = 512, ["hidden_size"] = 256, ["intermediate_size"] = inner, ["num_hidden_layers"] = Layers,
                    ["num_attention_heads"] = 4, ["num_key_value_heads"] = 2, ["max_position_embeddings"] = 64, ["rms_norm_eps"] = 1e-5, ["hidden_act"] = "silu", ["tie_word_embeddings"] = tied, ["bos_token_id"] = 1, ["eos_token_id"] = 2,
                },
                "the test's model"),
            seed: 7);
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        foreach (var (_, parameter) in model.Module.named_parameters().Where(named => named.parameter.dim() == 2))
        {
            parameter[1].zero_();
            parameter[2].fill_(0.3);
            parameter[3].fill_(-0.3);
            parameter[4].abs_().neg_();
            parameter[5].abs_();
            parameter[6].mul_(1e-20);
            parameter[7].mul_(1e-4);
            parameter[8][3] = 40;
            parameter[9][200] = -40;
            parameter[10].copy_(arange(parameter.size(1), dtype: ScalarType.Float32).sub(parameter.size(1) / 2.0).mul(0.01));
            parameter[11].copy_(arange(parameter.size(1), dtype: ScalarType.Float32).mul(0.01).sin());
        }

        LanguageModelFolder.Save(model, folder);
    }
}
