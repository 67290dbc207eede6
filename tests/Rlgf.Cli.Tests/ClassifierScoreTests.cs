using System.Text.Json.Nodes;
using Rlgf.Models.Loading;
using Rlgf.Recipes;

namespace Rlgf.Cli.Tests;

/// <summary>A classifier says one number, whoever asks: the reward of a recipe, its judge, and <c>rlgf score</c>.</summary>
public sealed class ClassifierScoreTests
{
    private const double Tolerance = 1e-5;

    private static readonly string[] Texts = ["This movie was one of the best films", "The end is bad", "x"];

    [Theory]
    [InlineData("gpt2_reward", null, null)]
    [InlineData("gpt2_reward", "LABEL_0", ClassifierTransform.Logit)]
    [InlineData("gpt2_reward", null, ClassifierTransform.Sigmoid)]
    [InlineData("distilbert_classifier", "POSITIVE", null)]
    [InlineData("distilbert_classifier", "NEGATIVE", ClassifierTransform.Probability)]
    [InlineData("distilbert_classifier", "POSITIVE", ClassifierTransform.LogOdds)]
    [InlineData("distilbert_classifier", "POSITIVE", ClassifierTransform.Logit)]
    [InlineData("distilbert_classifier", "POSITIVE", null, "multi_label_classification")]
    [InlineData("distilbert_classifier", "POSITIVE", null, "regression")]
    public void Score_prints_what_a_reward_gives(string fixture, string? label, ClassifierTransform? transform, string? problemType = null)
    {
        using var scratch = new Scratch();
        var model = Changed(scratch, fixture, problemType);
        List<string> arguments = ["score", "--model", model, "--input", scratch.Write("in.jsonl", [.. Texts.Select(text => new JsonObject { ["text"] = text }.ToJsonString())]), "--output", scratch["out.jsonl"]];
        if (label is not null) arguments.AddRange(["--label", label]);
        if (transform is { } named) arguments.AddRange(["--transform", RecipeSchemaName(named)]);
        var result = Cli.Run([.. arguments]);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        double[] printed = [.. Fixtures.Rows(scratch["out.jsonl"]).Select(row => row["score"]!.GetValue<double>())];

        using var classifier = TextClassifier.Load(model);
        var reward = new Rlgf.Rewards.ClassifierReward("reward", classifier.Model, classifier.Tokenizer, label, includePrompt: false, transform);
        var given = Rlgf.Rewards.CheckedScores.Of(reward, [.. Texts.Select(text => new Rlgf.Prompts.Response(new("", []), text, [], true))], CancellationToken.None);
        for (var row = 0; row < Texts.Length; row++)
        {
            Assert.Equal(given[row].Total, printed[row], Tolerance);
            // What transformers' pipelines make of the same logits.
            double[] logits = Fixtures.Numbers(Fixtures.Rows(scratch["out.jsonl"])[row]["logits"]);
            var own = logits[label == "POSITIVE" ? 1 : 0];
            var isSoftmax = fixture == "distilbert_classifier" && problemType is null;
            var probability = isSoftmax ? Math.Exp(own) / logits.Sum(Math.Exp) : 1 / (1 + Math.Exp(-own));
            var isRaw = transform == ClassifierTransform.Logit || (transform is null && (fixture == "gpt2_reward" || problemType == "regression"));
            Assert.Equal(isRaw ? own : transform == ClassifierTransform.LogOdds ? Math.Log(probability / (1 - probability)) : probability, printed[row], Tolerance);
        }
    }

    [Fact]
    public void A_reward_model_of_one_output_tells_the_responses_of_a_run_apart_as_reward_and_as_judge()
    {
        using var scratch = new Scratch();
        string[] change =
        [
            "--set", $"reward={{kind: classifier, path: '{Fixtures.Model("gpt2_reward")}'}}",
            "--set", $"judge={{kind: classifier, path: '{Fixtures.Model("gpt2_reward")}', transform: sigmoid}}",
        ];
        var evaluated = Cli.Run(["evaluate", TrainTests.Recipe(scratch, "run"), "--output", scratch["rows.jsonl"], .. change]);
        Assert.True(evaluated.Code == ExitCode.Ok, evaluated.Error);
        Assert.Equal(ExitCode.Ok, Cli.Run("score", "--model", Fixtures.Model("gpt2_reward"), "--input", scratch["rows.jsonl"], "--output", scratch["scores.jsonl"]).Code);
        var (rows, scores) = (Fixtures.Rows(scratch["rows.jsonl"]), Fixtures.Rows(scratch["scores.jsonl"]));
        Assert.Equal(4, rows.Length);
        foreach (var (row, score) in rows.Zip(scores))
        {
            var logit = score["score"]!.GetValue<double>();
            Assert.Equal(score["logits"]![0]!.GetValue<double>(), logit, Tolerance);
            Assert.Equal(logit, row["reward"]!.GetValue<double>(), Tolerance);
            Assert.Equal(1 / (1 + Math.Exp(-logit)), row["judge"]!.GetValue<double>(), Tolerance);
        }

        Assert.True(rows.Select(row => row["reward"]!.GetValue<double>()).Distinct().Count() > 1);
    }

    [Theory]
    [InlineData("gpt2_reward", "transform: probability", "14: reward.transform: the classifier has one output, which is no probability: use logit, or sigmoid for a number between 0 and 1")]
    [InlineData("distilbert_classifier", "label: POSITIVE\n  transform: sigmoid", "15: reward.transform: the sigmoid of one of the 2 labels, which exclude each other, is no probability: use probability (softmax), log_odds or logit")]
    [InlineData("distilbert_classifier", "label: GOOD", "14: reward.label: the classifier has no label 'GOOD': it has NEGATIVE, POSITIVE")]
    [InlineData("distilbert_classifier", "include_prompt: true", "12: reward.label: the classifier has the labels NEGATIVE, POSITIVE: name one of them")]
    [InlineData("gpt2_reward", "transform: softmax", "14: reward.transform: expected one of: logit, sigmoid, probability, log_odds, normalised; found 'softmax'")]
    public void What_does_not_fit_the_classifier_is_refused_by_line_and_key(string fixture, string keys, string message)
    {
        using var scratch = new Scratch();
        var recipe = scratch.Write("r.yaml", File.ReadAllText(TrainTests.Recipe(scratch, "run")).Replace("  kind: regex\n  pattern: e", $"  kind: classifier\n  path: {Fixtures.Model(fixture)}\n  {keys}", StringComparison.Ordinal));
        var line = Array.FindIndex(File.ReadAllLines(recipe), text => text == "reward:") + 1;
        var shifted = message.Split(':', 2);
        var error = Cli.Run("train", recipe).OneErrorLine(ExitCode.Failed);
        Assert.EndsWith($"r.yaml:{int.Parse(shifted[0], System.Globalization.CultureInfo.InvariantCulture) - 11 + line}:{shifted[1]}", error, StringComparison.Ordinal);
    }

    [Fact]
    public void The_resolved_recipe_says_what_is_taken()
    {
        var one = (ClassifierRewardSection)new ClassifierRewardSection { Path = Fixtures.Model("gpt2_reward") }.Resolved();
        Assert.Equal(("LABEL_0", ClassifierTransform.Logit), (one.Label, one.Transform));
        var sum = (SumRewardSection)new SumRewardSection { Parts = [new() { Name = "a", Reward = new ClassifierRewardSection { Path = Fixtures.Model("distilbert_classifier"), Label = "POSITIVE" } }] }.Resolved();
        Assert.Equal(ClassifierTransform.Probability, ((ClassifierRewardSection)sum.Parts[0].Reward).Transform);
    }

    [Fact]
    public void Options_that_do_not_fit_are_refused()
    {
        using var scratch = new Scratch();
        string Refused(int code, string model, params string[] options) =>
            Cli.Run(["score", "--model", Fixtures.Model(model), "--input", scratch.Write("in.jsonl", """{"text": "a film"}"""), "--output", scratch["out.jsonl"], .. options]).OneErrorLine(code);
        Assert.Contains("language model", Refused(ExitCode.WrongUse, "gpt2", "--label", "x"), StringComparison.Ordinal);
        Assert.Contains("--transform needs --label, one of: NEGATIVE, POSITIVE", Refused(ExitCode.WrongUse, "distilbert_classifier", "--transform", "logit"), StringComparison.Ordinal);
        Assert.Contains("no label 'x'", Refused(ExitCode.Failed, "distilbert_classifier", "--label", "x"), StringComparison.Ordinal);
        Assert.Contains("no probability", Refused(ExitCode.Failed, "gpt2_reward", "--transform", "log_odds"), StringComparison.Ordinal);
        Assert.False(File.Exists(scratch["out.jsonl"]));
    }

    private static string RecipeSchemaName(ClassifierTransform transform) => transform == ClassifierTransform.LogOdds ? "log_odds" : transform.ToString().ToLowerInvariant();

    private static string Changed(Scratch scratch, string fixture, string? problemType)
    {
        if (problemType is null) return Fixtures.Model(fixture);
        var folder = scratch.CopyOf(fixture);
        var path = Path.Combine(folder, "config.json");
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        json["problem_type"] = problemType;
        File.WriteAllText(path, json.ToJsonString());
        return folder;
    }
}
