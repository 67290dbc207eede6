using Rlgf.Base;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>Classifiers of decoder-only families against transformers; see fixtures/README.md.</summary>
public sealed class DecoderClassifierTests : IDisposable
{
    private const double Tolerance = 5e-5;

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData("gpt2_reward", "right_padded")]
    [InlineData("gpt2_reward", "ends_with_eos")]
    [InlineData("llama_reward", "right_padded")]
    [InlineData("qwen3_reward", "right_padded")]
    [InlineData("gemma3_reward", "right_padded")]
    [InlineData("llama_reward", "left_padded")] // the same scores: rotation knows no absolute position
    public void Scores_equal_those_of_transformers(string name, string batch)
    {
        using var fixture = new Fixture(name);
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        Assert.Equal(["LABEL_0"], classifier.Labels);
        var expected = (fixture.Expected[batch]!["logits"] ?? fixture.Expected["logits"])!.AsArray().Select(row => (float)row![0]!).ToArray();
        Fixture.Close(tensor(expected).unsqueeze(1), classifier.Logits(Fixture.Rows(fixture.Expected[batch]!)), Tolerance);
    }

    [Theory]
    [InlineData("gpt2_reward")]
    [InlineData("llama_reward")]
    [InlineData("qwen3_reward")]
    [InlineData("gemma3_reward")]
    public void Keys_of_transformers_4_give_the_same_classifier(string name)
    {
        using var fixture = new Fixture(name);
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(fixture.Folder, "config_v4.json"), folder.File("config.json"));
        File.Copy(Path.Combine(fixture.Folder, "model.safetensors"), folder.File("model.safetensors"));
        using var classifier = SequenceClassifierFolder.Load(folder.Path);
        using var gradients = no_grad();
        Fixture.Close(fixture.Tensor("logits"), classifier.Logits(Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
    }

    [Theory]
    [InlineData("gpt2_reward")]
    [InlineData("llama_reward")]
    [InlineData("qwen3_reward")]
    [InlineData("gemma3_reward")]
    public void A_saved_classifier_has_the_same_names_shapes_and_bytes(string name)
    {
        using var fixture = new Fixture(name);
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        using var folder = new TemporaryFolder();
        SequenceClassifierFolder.Save(classifier, folder.Path);
        Fixture.SameWeights(fixture.Folder, folder.Path);
    }

    [Fact]
    public void A_classifier_from_a_language_model_has_its_trunk_a_seeded_head_and_its_own_labels()
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf("gpt2"));
        using var one = SequenceClassifierFolder.FromLanguageModel(model, ["bad", "good"], padId: 419, seed: 7);
        using var same = SequenceClassifierFolder.FromLanguageModel(model, ["bad", "good"], padId: 419, seed: 7);
        using var other = SequenceClassifierFolder.FromLanguageModel(model, ["bad", "good"], padId: 419, seed: 8);
        int[][] rows = [[1, 2, 3], [4]];
        using var gradients = no_grad();
        Assert.Equal([2, 2], one.Logits(rows).shape);
        Fixture.Close(one.Logits(rows), same.Logits(rows), 0);
        Assert.True((one.Logits(rows) - other.Logits(rows)).abs().min().item<float>() > 1e-4);

        // The state that is scored is the language model's own state after the last token.
        var state = model.ResponseStates([new TokenRow([1, 2, 3], [0])])[0, 0];
        var head = one.Module.named_parameters().Single(pair => pair.name == "score.weight").parameter;
        Fixture.Close(head.matmul(state), one.Logits(rows)[0], 1e-5);
        Assert.Equal("good", (string?)one.Configuration["id2label"]!["1"]);
    }

    [Fact]
    public void Rows_without_a_token_or_beyond_the_context_are_refused()
    {
        using var classifier = SequenceClassifierFolder.Load(Fixture.PathOf("gpt2_reward"));
        Assert.Contains("no token", Assert.Throws<InputException>(() => classifier.Logits([[]])).Message, StringComparison.Ordinal);
        Assert.Contains("129 tokens", Assert.Throws<InputException>(() => classifier.Logits([new int[129]])).Message, StringComparison.Ordinal);
    }
}
