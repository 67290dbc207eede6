using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.Known;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.Optimizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Low-rank adapters on classifiers, whose heads are trained whole.</summary>
public sealed class LoraClassifierTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData("base_model.model.")]
    [InlineData("")]
    public void A_classifiers_adapter_without_a_configuration_of_its_own_tells_its_labels_by_its_head(string prefix)
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf("llama"));
        using var classifier = SequenceClassifierFolder.FromLanguageModel(model, ["a", "b", "c"], padId: null, seed: 7);
        LoraAdapters.Attach(classifier, new LoraSettings { Rank = 2 }, Fixture.PathOf("llama"), seed: 1);
        using var folder = new TemporaryFolder();
        SequenceClassifierFolder.Save(classifier, folder.Path);
        File.Delete(folder.File("config.json"));
        Dictionary<string, Tensor> weights;
        using (var file = SafetensorsFile.Open(folder.File("adapter_model.safetensors")))
            weights = file.Entries.Keys.ToDictionary(key => prefix + key["base_model.model.".Length..], file.Read, StringComparer.Ordinal);
        SafetensorsWriter.Write(folder.File("adapter_model.safetensors"), weights);
        using var again = SequenceClassifierFolder.Load(folder.Path);
        Assert.Equal(["LABEL_0", "LABEL_1", "LABEL_2"], again.Labels);
        Fixture.Close(classifier.Logits([[5, 6, 7]]), again.Logits([[5, 6, 7]]), 0);
    }

    [Fact]
    public void A_classifier_with_an_adapter_trains_its_head_too_and_is_loaded_from_what_it_saved()
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf("gpt2"));
        using var classifier = SequenceClassifierFolder.FromLanguageModel(model, ["bad", "good"], padId: null, seed: 7);
        LoraAdapters.Attach(classifier, new LoraSettings { TargetModules = ["c_attn", "mlp.c_proj"] }, Fixture.PathOf("gpt2"), seed: 1);
        var trained = classifier.Module.named_parameters().Where(named => named.parameter.requires_grad).Select(named => named.name).ToArray();
        Assert.Equal(9, trained.Length); // two maps in two layers, two factors each, and the head
        Assert.Contains("score.weight", trained);
        using (no_grad()) foreach (var (_, parameter) in classifier.Module.named_parameters().Where(named => named.parameter.requires_grad)) parameter.add_(0.1f);

        using var folder = new TemporaryFolder();
        SequenceClassifierFolder.Save(classifier, folder.Path);
        using var again = SequenceClassifierFolder.Load(folder.Path);
        using var gradients = no_grad();
        int[][] rows = [[1, 2, 3], [4]];
        Assert.Equal(["bad", "good"], again.Labels);
        Fixture.Close(classifier.Logits(rows), again.Logits(rows), 0);

        // As PEFT leaves it: without a configuration of the model.
        File.Delete(folder.File("config.json"));
        using var plain = SequenceClassifierFolder.Load(folder.Path);
        Assert.Equal(["LABEL_0", "LABEL_1"], plain.Labels);
        Fixture.Close(classifier.Logits(rows), plain.Logits(rows), 0);

        SequenceClassifierFolder.Save(classifier, folder.Path, mergeAdapter: true);
        File.Delete(folder.File("adapter_config.json"));
        using var merged = SequenceClassifierFolder.Load(folder.Path);
        Fixture.Close(classifier.Logits(rows), merged.Logits(rows), Tolerance);
    }

    [Theory]
    [InlineData("bert_classifier")]
    [InlineData("distilbert_classifier")]
    [InlineData("roberta_classifier")]
    [InlineData("xlm_roberta_classifier")]
    [InlineData("electra_classifier")]
    [InlineData("albert_classifier")]
    [InlineData("deberta_v3_reward")]
    [InlineData("modernbert_reward")]
    public void Encoders_take_an_adapter_too_and_train_their_own_head(string name)
    {
        using var gradients = no_grad();
        using var classifier = SequenceClassifierFolder.Load(Fixture.PathOf(name));
        int[][] rows = [[5, 6, 7], [8]];
        var before = classifier.Logits(rows);
        LoraAdapters.Attach(classifier, new LoraSettings { Rank = 2 }, Fixture.PathOf(name), seed: 1);
        Fixture.Close(before, classifier.Logits(rows), 0);
        var trained = classifier.Module.named_parameters().Where(named => named.parameter.requires_grad).ToArray();
        Assert.Contains(trained, named => named.name.StartsWith("classifier.", StringComparison.Ordinal));
        Assert.DoesNotContain(trained, named => named.name.Contains("embeddings.", StringComparison.Ordinal));
        // Every map of the trunk, by the name of its weight, has both factors.
        var isOfHead = ModelFamilies.Of(FolderConfiguration.Read(Fixture.PathOf(name))).IsOfHead;
        var maps = classifier.Module.named_parameters().Where(named => named.parameter.dim() == 2 && named.name.EndsWith(".weight", StringComparison.Ordinal) && !named.name.Contains("embeddings.", StringComparison.Ordinal) && !LoraNames.IsFactor(named.name))
            .Select(named => named.name).Where(map => !isOfHead(map));
        Assert.Equal(
            maps.SelectMany(map => (string[])[map.Replace(".weight", ".lora_A.weight"), map.Replace(".weight", ".lora_B.weight")]).Order(StringComparer.Ordinal),
            trained.Select(named => named.name).Where(LoraNames.IsFactor).Order(StringComparer.Ordinal));
        Assert.Equal(classifier.Module.named_parameters().Select(named => named.name).Where(isOfHead).Order(StringComparer.Ordinal), trained.Select(named => named.name).Where(isOfHead).Order(StringComparer.Ordinal));
        foreach (var (_, parameter) in trained) parameter.add_(0.05f);

        var adapted = classifier.Logits(rows);
        Assert.True((adapted - before).abs().max().item<float>() > 0.01);
        using var folder = new TemporaryFolder();
        SequenceClassifierFolder.Save(classifier, folder.Path);
        using var again = SequenceClassifierFolder.Load(folder.Path);
        Fixture.Close(adapted, again.Logits(rows), 0);
        using var mergedFolder = new TemporaryFolder();
        SequenceClassifierFolder.Save(classifier, mergedFolder.Path, mergeAdapter: true);
        using var merged = SequenceClassifierFolder.Load(mergedFolder.Path);
        Fixture.Close(adapted, merged.Logits(rows), Tolerance);
    }
}
