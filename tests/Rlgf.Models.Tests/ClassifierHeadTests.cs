using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Loading;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>From logits to one number, by what transformers and the literature say the outputs are.</summary>
public sealed class ClassifierHeadTests
{
    private const double Tolerance = 1e-12;

    private static readonly ClassifierHead Reward = new(["LABEL_0"], ProblemType.Regression);
    private static readonly ClassifierHead Exclusive = new(["a", "b", "c"], ProblemType.SingleLabelClassification);
    private static readonly ClassifierHead Independent = new(["a", "b", "c"], ProblemType.MultiLabelClassification);

    [Fact]
    public void The_numbers_by_hand()
    {
        // ln 1, ln 2, ln 5: softmax 1/8, 2/8, 5/8; sigmoids 1/2, 2/3, 5/6.
        float[] logits = [0, MathF.Log(2), MathF.Log(5)];
        for (var label = 0; label < 3; label++)
        {
            double odds = new[] { 1.0, 2, 5 }[label];
            Assert.Equal(odds / 8, Exclusive.Score(logits, label, ClassifierTransform.Probability), 6);
            Assert.Equal(Math.Log(odds / (8 - odds)), Exclusive.Score(logits, label, ClassifierTransform.LogOdds), 6);
            Assert.Equal(odds / (1 + odds), Independent.Score(logits, label, ClassifierTransform.Sigmoid), 6);
            Assert.Equal(odds / (1 + odds), Independent.Score(logits, label, ClassifierTransform.Probability), 6);
            Assert.Equal(Math.Log(odds), Independent.Score(logits, label, ClassifierTransform.LogOdds), 6);
            foreach (var head in new[] { Exclusive, Independent }) Assert.Equal(logits[label], head.Score(logits, label, ClassifierTransform.Logit));
        }

        Assert.Equal([0.125f, 0.25f, 0.625f], Exclusive.Probabilities(logits)!.Select(p => MathF.Round(p, 6)));
        Assert.Equal(2.5, Reward.Score([2.5f], 0, ClassifierTransform.Logit));
        Assert.Equal(1 / (1 + Math.Exp(-2.5)), Reward.Score([2.5f], 0, ClassifierTransform.Sigmoid), Tolerance);
        Assert.Null(Reward.Probabilities([2.5f]));
    }

    [Fact]
    public void Large_logits_neither_overflow_nor_lose_the_log_odds()
    {
        Assert.Equal(1, Exclusive.Score([1000, 0, 0], 0, ClassifierTransform.Probability), Tolerance);
        Assert.Equal(0, Exclusive.Score([1000, 0, 0], 1, ClassifierTransform.Probability), Tolerance);
        Assert.Equal(1000 - Math.Log(2), Exclusive.Score([1000, 0, 0], 0, ClassifierTransform.LogOdds), 1e-9);
        Assert.Equal(0, Reward.Score([-1000], 0, ClassifierTransform.Sigmoid), Tolerance);
        Assert.Equal(1, Reward.Score([1000], 0, ClassifierTransform.Sigmoid), Tolerance);
    }

    [Fact]
    public void A_reward_model_that_keeps_what_its_scores_are_normalised_by_is_read_so()
    {
        var head = Reward with { Normalisation = new(1.5, 4) };
        Assert.Equal(ClassifierTransform.Normalised, head.DefaultTransform);
        Assert.Equal((3.5 - 1.5) / 4, head.Score([3.5f], 0, ClassifierTransform.Normalised));
        Assert.Equal(3.5, head.Score([3.5f], 0, ClassifierTransform.Logit));
        Assert.Null(head.TransformProblem(ClassifierTransform.Normalised));
    }

    [Fact]
    public void What_is_taken_by_default_and_what_does_not_fit()
    {
        Assert.Equal(ClassifierTransform.Logit, Reward.DefaultTransform);
        Assert.Equal(ClassifierTransform.Probability, Exclusive.DefaultTransform);
        Assert.Equal(ClassifierTransform.Probability, Independent.DefaultTransform);
        Assert.Equal(
            [(0, 2), (0, 3), (0, 4), (1, 1), (1, 4), (2, 4)],
            new[] { Reward, Exclusive, Independent }.SelectMany((head, i) => Enum.GetValues<ClassifierTransform>().Where(transform => head.TransformProblem(transform) is not null).Select(transform => (i, (int)transform))));
        Assert.Contains("one output", Assert.Throws<InputException>(() => Reward.Score([1], 0, ClassifierTransform.Probability)).Message, StringComparison.Ordinal);
        Assert.Equal("the classifier has no label 'd': it has a, b, c", Assert.Throws<InputException>(() => Exclusive.IndexOf("d")).Message);
        Assert.Equal("the classifier has the labels a, b, c: name one of them", Assert.Throws<InputException>(() => Exclusive.IndexOf(null)).Message);
        Assert.Equal(0, Reward.IndexOf(null));
        Assert.Equal(2, Exclusive.IndexOf("c"));
    }

    [Theory]
    [InlineData("gpt2_reward", null, ProblemType.Regression)]
    [InlineData("llama_reward", null, ProblemType.Regression)]
    [InlineData("gpt2_reward", "single_label_classification", ProblemType.Regression)]
    [InlineData("gpt2_reward", "multi_label_classification", ProblemType.MultiLabelClassification)]
    [InlineData("distilbert_classifier", null, ProblemType.SingleLabelClassification)]
    [InlineData("distilbert_classifier", "single_label_classification", ProblemType.SingleLabelClassification)]
    [InlineData("distilbert_classifier", "multi_label_classification", ProblemType.MultiLabelClassification)]
    [InlineData("distilbert_classifier", "regression", ProblemType.Regression)]
    public void The_configuration_says_what_the_outputs_are(string fixture, string? problemType, ProblemType expected)
    {
        using var folder = Changed(fixture, json => json["problem_type"] = problemType);
        Assert.Equal(expected, ClassifierHead.Read(folder.Path)!.Type);
        using var classifier = SequenceClassifierFolder.Load(folder.Path);
        Assert.Equal(expected, ClassifierHead.Of(classifier).Type);
    }

    [Fact]
    public void A_number_of_labels_without_names_is_enough_and_another_problem_type_is_refused()
    {
        using var numbered = Changed("gpt2_reward", json =>
        {
            json.Remove("id2label");
            json["num_labels"] = 1;
        });
        using var classifier = SequenceClassifierFolder.Load(numbered.Path);
        Assert.Equal(["LABEL_0"], classifier.Labels);
        using var wrong = Changed("gpt2_reward", json => json["problem_type"] = "ranking");
        Assert.Contains("problem_type is 'ranking'", Assert.Throws<InputException>(() => ClassifierHead.Read(wrong.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_classifier_that_begins_with_another_problem_says_what_it_is_trained_to_be()
    {
        using var folder = Changed("distilbert_classifier", json => json["problem_type"] = "multi_label_classification");
        using var classifier = SequenceClassifierFolder.FromEncoder(folder.Path, ["bad", "good"], seed: 1);
        Assert.Equal(ProblemType.SingleLabelClassification, ClassifierHead.Of(classifier).Type);
    }

    /// <summary>The fixture with a changed configuration.</summary>
    private static TemporaryFolder Changed(string fixture, Action<JsonObject> change)
    {
        var folder = new TemporaryFolder();
        foreach (var file in new[] { "config.json", "model.safetensors" }) File.WriteAllBytes(folder.File(file), File.ReadAllBytes(Path.Combine(Fixture.PathOf(fixture), file)));
        var json = (JsonObject)JsonNode.Parse(File.ReadAllText(folder.File("config.json")))!;
        change(json);
        File.WriteAllText(folder.File("config.json"), json.ToJsonString());
        return folder;
    }
}
