using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Loading;
using Rlgf.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints;

/// <summary>A model that is loaded and saved elsewhere is the same model for whoever reads it next.</summary>
public sealed class SavingTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>All folders but those that hold what is not to be kept: buffers, copies of tied weights, older names.</summary>
    public static TheoryData<string> Folders =>
    [
        .. Directory.GetDirectories(Path.Combine(AppContext.BaseDirectory, "fixtures", "models")).Select(path => Path.GetFileName(path)!)
            .Where(name => File.Exists(Path.Combine(Fixture.PathOf(name), "config.json")) && File.Exists(Path.Combine(Fixture.PathOf(name), "model.safetensors")))
            .Except(["gpt2_buffers", "gpt2_unprefixed", "t5_names", "bert_gamma_beta"]),
    ];

    [Theory, MemberData(nameof(Folders))]
    public void Names_shapes_types_and_bytes_are_those_that_were_loaded(string name)
    {
        var type = (string?)FolderConfiguration.Read(Fixture.PathOf(name)).ToJson()["dtype"] switch { "float16" => ScalarType.Float16, "bfloat16" => ScalarType.BFloat16, _ => ScalarType.Float32 };
        if (FolderConfiguration.Read(Fixture.PathOf(name)).IsClassifier)
        {
            using var classifier = SequenceClassifierFolder.Load(Fixture.PathOf(name));
            SequenceClassifierFolder.Save(classifier, _folder.Path, type);
        }
        else
        {
            using var model = LanguageModelFolder.Load(Fixture.PathOf(name));
            LanguageModelFolder.Save(model, _folder.Path, type);
        }

        using var scope = NewDisposeScope();
        using var original = SafetensorsFile.Open(Path.Combine(Fixture.PathOf(name), "model.safetensors"));
        using var saved = SafetensorsFile.Open(_folder.File("model.safetensors"));
        Assert.Equal(original.Entries.Keys.Order(StringComparer.Ordinal), saved.Entries.Keys.Order(StringComparer.Ordinal));
        foreach (var (tensor, entry) in original.Entries)
        {
            Assert.Equal(entry.Type, saved.Entries[tensor].Type);
            Assert.Equal(entry.Shape, saved.Entries[tensor].Shape);
            Assert.True(original.Read(tensor).bytes.SequenceEqual(saved.Read(tensor).bytes), tensor);
        }

        Assert.Equal((string?)FolderConfiguration.Read(Fixture.PathOf(name)).ToJson()["dtype"], (string?)FolderConfiguration.Read(_folder.Path).ToJson()["dtype"]);
    }

    [Fact]
    public void Settings_of_generation_are_kept_also_by_a_clone()
    {
        var source = Directory.CreateDirectory(_folder.File("source")).FullName;
        foreach (var name in (string[])["config.json", "model.safetensors"]) File.Copy(Path.Combine(Fixture.PathOf("gpt2"), name), Path.Combine(source, name));
        const string settings = """{"temperature": 0.6, "eos_token_id": [1, 2], "suppress_tokens": null, "something_new": {"a": 1}}""";
        File.WriteAllText(Path.Combine(source, "generation_config.json"), settings);

        using var model = LanguageModelFolder.Load(source);
        using var clone = model.Clone();
        LanguageModelFolder.Save(clone, _folder.File("saved"));
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(settings), JsonNode.Parse(File.ReadAllText(Path.Combine(_folder.File("saved"), "generation_config.json")))));

        File.WriteAllText(Path.Combine(source, "generation_config.json"), "[");
        Assert.Contains("generation_config.json:1: ", Assert.Throws<InputException>(() => LanguageModelFolder.Load(source)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_such_settings_the_ids_of_the_configuration_are_written()
    {
        foreach (var name in (string[])["config.json", "model.safetensors"]) File.Copy(Path.Combine(Fixture.PathOf("gpt2"), name), _folder.File(name));
        using var model = LanguageModelFolder.Load(_folder.Path);
        LanguageModelFolder.Save(model, _folder.File("saved"));
        var saved = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder.File("saved"), "generation_config.json")))!;
        Assert.Equal(FolderConfiguration.Read(_folder.Path).TokenId("eos_token_id"), (int?)saved["eos_token_id"]);
    }

    [Fact]
    public void A_tensor_that_is_larger_than_a_shard_has_a_file_to_itself()
    {
        using var scope = NewDisposeScope();
        Checkpoint.Save(_folder.Path, [TensorToStore.Of("a", zeros(10)), TensorToStore.Of("b", ones(1)), TensorToStore.Of("c", zeros(1))], shardBytes: 8);
        using var checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal(["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], checkpoint.Files.Select(Path.GetFileName));
        Assert.Equal([10], checkpoint.Entry("a").Shape);
        var read = zeros(1);
        checkpoint.CopyTo("b", read);
        Assert.Equal(1, read.item<float>());
    }

    [Fact]
    public void A_tokenizer_is_copied_with_all_its_files()
    {
        TokenizerFolder.Copy(Fixture.PathOf("gpt2"), _folder.Path);
        foreach (var name in (string[])["tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"])
            Assert.Equal(File.ReadAllBytes(Path.Combine(Fixture.PathOf("gpt2"), name)), File.ReadAllBytes(_folder.File(name)));
    }
}
