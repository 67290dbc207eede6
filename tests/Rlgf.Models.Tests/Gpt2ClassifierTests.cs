using Rlgf.Models.Checkpoints;
using Rlgf.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>GPT-2 classifiers against transformers; see fixtures/README.md.</summary>
public sealed class Gpt2ClassifierTests : IDisposable
{
    private const double Tolerance = 5e-5;

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData("right_padded")]
    [InlineData("ends_with_eos")]
    public void Scores_equal_those_of_transformers(string batch)
    {
        using var fixture = new Fixture("gpt2_reward");
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        using var gradients = no_grad();
        Assert.Equal(["LABEL_0"], classifier.Labels);
        Fixture.Close(fixture.Tensor("logits"), classifier.Logits(Fixture.Rows(fixture.Expected[batch]!)), Tolerance);
    }

    [Fact]
    public void A_saved_classifier_gives_the_same_weights()
    {
        using var fixture = new Fixture("gpt2_reward");
        using var classifier = SequenceClassifierFolder.Load(fixture.Folder);
        using var folder = new TemporaryFolder();
        SequenceClassifierFolder.Save(classifier, folder.Path);
        using var again = SequenceClassifierFolder.Load(folder.Path);
        using var gradients = no_grad();
        Fixture.Close(fixture.Tensor("logits"), again.Logits(Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
        using var original = SafetensorsFile.Open(Path.Combine(fixture.Folder, "model.safetensors"));
        using var copy = SafetensorsFile.Open(folder.File("model.safetensors"));
        Assert.Equal(original.Entries.Keys.Order(StringComparer.Ordinal), copy.Entries.Keys.Order(StringComparer.Ordinal));
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
