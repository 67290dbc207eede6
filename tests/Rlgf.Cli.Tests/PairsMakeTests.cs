using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary><c>rlgf pairs make</c>: answers of a model and a guide, ordered by a reward.</summary>
[Collection(ExactNumbersCollection.Name)]
public sealed class PairsMakeTests
{
    [Fact]
    public void Pairs_are_the_best_and_the_worst_of_the_answers_by_the_reward()
    {
        using var scratch = new Scratch();
        var result = Cli.Run("pairs", "make", Recipe(scratch), "--set", "answers=3");
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var pairs = Fixtures.Rows(scratch["pairs/pairs.jsonl"]);
        Assert.NotEmpty(pairs);
        Assert.False(File.Exists(scratch["pairs/pairs.unfinished.jsonl"]));
        Assert.Contains($"{pairs.Length} pairs of 12 prompts", result.Error, StringComparison.Ordinal);
        // The reward of each answer is what another command gives it.
        var rows = scratch.Write("rows.jsonl", [.. pairs.SelectMany(pair => new[] { "chosen", "rejected" }.Select(answer =>
            new JsonObject { ["prompt"] = Text(pair, "prompt"), ["response"] = Text(pair, answer) }.ToJsonString()))]);
        var scored = Cli.Run("reward", "score", "--recipe", TrainTests.Recipe(scratch, "run"), "--rows", rows, "--output", scratch["rewards.jsonl"], "--set", Reward);
        Assert.True(scored.Code == ExitCode.Ok, scored.Error);
        double[] rewards = [.. Fixtures.Rows(scratch["rewards.jsonl"]).Select(row => row["reward"]!.GetValue<double>())];
        for (var i = 0; i < pairs.Length; i++)
        {
            Assert.Equal(rewards[2 * i], Number(pairs[i], "chosen_reward"), 1e-5);
            Assert.Equal(rewards[(2 * i) + 1], Number(pairs[i], "rejected_reward"), 1e-5);
            Assert.True(rewards[2 * i] > rewards[(2 * i) + 1]);
            Assert.Equal(Number(pairs[i], "chosen_reward") - Number(pairs[i], "rejected_reward"), Number(pairs[i], "margin"), 1e-9);
        }

        // What was made is what reward models learn from.
        var trained = Cli.Run("check", scratch.Write("reward.yaml", "kind: reward_model", "name: r", $"output: {scratch["reward"]}", $"model: {{kind: folder, path: {Fixtures.Model("gpt2")}}}",
            $"data: {{path: {scratch["pairs/pairs.jsonl"]}, evaluation_path: {scratch["pairs/pairs.jsonl"]}, margin_column: margin}}"));
        Assert.True(trained.Code == ExitCode.Ok, trained.Error);
    }

    [Fact]
    public void More_answers_make_the_best_no_worse_and_the_worst_no_better()
    {
        using var scratch = new Scratch();
        // The answers of a prompt have numbers of their own, so that other counts draw others: means are compared.
        Assert.Equal(ExitCode.Ok, Cli.Run("pairs", "make", Recipe(scratch), "--set", "answers=2").Code);
        var two = Fixtures.Rows(scratch["pairs/pairs.jsonl"]);
        Assert.Equal(ExitCode.Ok, Cli.Run("pairs", "make", Recipe(scratch), "--set", "answers=16", "--set", $"output={scratch["many"]}").Code);
        var many = Fixtures.Rows(scratch["many/pairs.jsonl"]);
        Assert.True(many.Average(pair => Number(pair, "margin")) > 1.5 * two.Average(pair => Number(pair, "margin")));
    }

    [Fact]
    public void What_was_stopped_goes_on_to_the_same_pairs_and_more_prompts_make_it_longer()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("pairs", "make", Recipe(scratch)).Code);
        var through = File.ReadAllText(scratch["pairs/pairs.jsonl"]);
        string[] part = ["pairs", "make", Recipe(scratch), "--set", $"output={scratch["part"]}"];
        Assert.Equal(ExitCode.Ok, Cli.Run([.. part, "--set", "prompts=8"]).Code);
        Assert.Contains("holds a run already; go on with --resume", Cli.Run(part).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        // As a kill leaves it: rows of a batch that was not counted.
        File.Copy(scratch["part/pairs.jsonl"], scratch["part/pairs.unfinished.jsonl"]);
        File.AppendAllText(scratch["part/pairs.unfinished.jsonl"], "{\"prompt\": \"half");
        Assert.Equal(ExitCode.Ok, Cli.Run([.. part, "--resume"]).Code);
        Assert.Equal(through, File.ReadAllText(scratch["part/pairs.jsonl"]));
        Assert.Contains("4 are fewer than the 12 that have been answered", Cli.Run([.. part, "--resume", "--set", "prompts=4"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void The_guides_right_answer_stands_against_the_models_wrong_one()
    {
        using var scratch = new Scratch();
        var result = Cli.Run("pairs", "make", Recipe(scratch), "--set", "guide={kind: references}", "--set", "choose=guide_right_model_wrong", "--set", "reward={kind: regex, pattern: better}");
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var pairs = Fixtures.Rows(scratch["pairs/pairs.jsonl"]);
        Assert.InRange(pairs.Length, 1, 6);
        Assert.All(pairs, pair =>
        {
            Assert.Contains("better", Text(pair, "chosen"), StringComparison.Ordinal);
            Assert.DoesNotContain("better", Text(pair, "rejected"), StringComparison.Ordinal);
            Assert.Equal(("guide", "model"), (Text(pair, "chosen_by"), Text(pair, "rejected_by")));
        });
        Assert.Contains("6 have no right answer of the guide", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("reward={kind: regex, pattern: '^'}", "no pair came of 12 prompts: 12 are ties")]
    [InlineData("answers=1", "answers: one answer makes no pair")]
    [InlineData("choose=guide_right_model_wrong", "choose: there is no guide")]
    [InlineData("generation={max_new_tokens: 4, greedy: true}", "generation: nothing is drawn")]
    [InlineData("success=1", "success: is for choose: guide_right_model_wrong")]
    [InlineData("guide_answers=2", "guide_answers: there is no guide")]
    public void What_makes_no_pairs_is_refused(string setting, string said)
    {
        using var scratch = new Scratch();
        Assert.Contains(said, Cli.Run("pairs", "make", Recipe(scratch), "--set", setting).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    private static readonly string Reward = $"reward={{kind: classifier, path: '{Fixtures.Model("gpt2_reward")}'}}";

    private static string Text(JsonNode row, string key) => row[key]!.GetValue<string>();

    private static double Number(JsonNode row, string key) => row[key]!.GetValue<double>();

    private static string Recipe(Scratch scratch)
    {
        scratch.Write("prompts.jsonl", [.. Enumerable.Range(0, 12).Select(i => $$"""{"text": "The acting is {{(i % 2 == 0 ? "good and the end is better" : "bad and the rest is worse")}} {{i}}"}""")]);
        return scratch.Write("pairs.yaml",
            "kind: pairs",
            "name: tiny pairs",
            $"output: {scratch["pairs"]}",
            $"model: {{path: {Fixtures.Model("gpt2")}}}",
            $"data: {{path: {scratch["prompts.jsonl"]}, prompt_tokens: 4}}",
            "generation: {max_new_tokens: 12}",
            $"reward: {{kind: classifier, path: '{Fixtures.Model("gpt2_reward")}'}}",
            "prompts_at_once: 4");
    }
}
