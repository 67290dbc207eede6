using Rlgf.Models.Checkpoints;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Ways of storing a model, and what folders and clones keep of it; see fixtures/README.md.</summary>
public sealed class StoredModelTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData("gpt2_sharded")]
    [InlineData("gpt2_bf16")]
    [InlineData("gpt2_fp16")]
    [InlineData("gpt2_unprefixed")]
    [InlineData("gpt2_buffers")]
    [InlineData("gpt2_bin")]
    public void Every_way_of_storing_gives_the_logits_of_the_stored_weights(string name)
    {
        using var fixture = new Fixture(name);
        using var model = LanguageModelFolder.Load(fixture.Folder);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(model, Fixture.Ints(fixture.Expected["batch"]!["input_ids"])), Tolerance);
    }

    [Fact]
    public void A_saved_model_gives_the_same_weights_and_keeps_what_it_does_not_know()
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("tokenizer.json"), "{}");
        LanguageModelFolder.Save(model, folder.Path, shardBytes: 60_000);
        Assert.True(File.Exists(folder.File("model.safetensors.index.json")));
        LanguageModelFolder.Save(model, folder.Path);
        Assert.Equal(
            ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"],
            Directory.GetFiles(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        var saved = FolderConfiguration.Read(folder.Path).ToJson();
        Assert.Equal("cls_index", (string?)saved["summary_type"]);

        using var original = SafetensorsFile.Open(Path.Combine(fixture.Folder, "model.safetensors"));
        using var copy = SafetensorsFile.Open(folder.File("model.safetensors"));
        Assert.Equal(original.Entries.Keys.Order(StringComparer.Ordinal), copy.Entries.Keys.Order(StringComparer.Ordinal));
        foreach (var name in original.Entries.Keys) Assert.True(original.Read(name).eq(copy.Read(name)).all().item<bool>(), name);
        Assert.Equal("pt", copy.Metadata["format"]);
    }

    [Fact]
    public void Shards_that_were_written_are_read_back()
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var folder = new TemporaryFolder();
        LanguageModelFolder.Save(model, folder.Path, shardBytes: 60_000);
        Assert.False(File.Exists(folder.File("model.safetensors")));
        using var again = LanguageModelFolder.Load(folder.Path);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(again, Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
    }

    [Fact]
    public void Saving_as_float16_halves_the_file_and_keeps_three_digits()
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var folder = new TemporaryFolder();
        LanguageModelFolder.Save(model, folder.Path, ScalarType.Float16);
        using var again = LanguageModelFolder.Load(folder.Path);
        foreach (var (stored, original) in again.Module.parameters().Zip(model.Module.parameters()))
        {
            // float16 has 11 significant bits, so rounding costs at most 2⁻¹¹ of a number, and 2⁻²⁵ near zero.
            Assert.True(((stored - original).abs() <= original.abs() * Math.Pow(2, -11) + Math.Pow(2, -25)).all().item<bool>());
        }

        Assert.True(new FileInfo(folder.File("model.safetensors")).Length < 0.55 * new FileInfo(Path.Combine(fixture.Folder, "model.safetensors")).Length);
    }

    [Fact]
    public void A_clone_has_the_same_weights_and_its_own_parameters()
    {
        using var fixture = new Fixture("gpt2");
        using var model = LanguageModelFolder.Load(fixture.Folder);
        using var clone = model.Clone();
        var rows = Fixture.Rows(fixture.Expected["right_padded"]!);
        using (no_grad()) foreach (var parameter in model.Module.parameters()) parameter.fill_(0);
        Fixture.Close(fixture.Tensor("logits"), Fixture.AllLogits(clone, rows), Tolerance);
    }
}
