using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary><c>rlgf reward score</c>, and rewards from data in recipes: checked, trained with, evaluated.</summary>
public sealed class RewardScoreTests
{
    private const string Sum = "reward={kind: sum, parts: [" +
        "{name: right, weight: 2, reward: {kind: match, column: answer, pattern: 'is (.*)', failure_score: -1}}, " +
        "{name: like, transform: complement, reward: {kind: metric, metric: rouge1}}, " +
        "{name: short, weight: 0.5, reward: {kind: length_range, unit: words, at_most: 3}}, " +
        "{name: ended, weight: 0.25, clip_at_most: 0.5, reward: {kind: ended}}]}";

    [Fact]
    public void Rows_get_the_reward_of_a_recipe_with_its_parts_and_its_judge()
    {
        using var scratch = new Scratch();
        var rows = scratch.Write("rows.jsonl",
            """{"id": "a", "prompt": "What?", "response": "it is red", "answer": "Red.", "references": ["it is red"]}""",
            """{"id": 7, "response": "a blue one is it", "answer": "red", "references": ["x"], "ended": false}""",
            """{"response": "", "answer": null, "references": ["x"]}""");
        var result = Cli.Run("reward", "score", "--recipe", TrainTests.Recipe(scratch, "run"), "--rows", rows, "--output", scratch["out.jsonl"], "--set", Sum, "--set", "judge={kind: regex, pattern: red}");
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        // 2 · 1 + (1 − 1) + 0.5 · 1 + 0.25 · 0.5; 0 + (1 − 0) + 0 + 0; 2 · −1 + 1 + 0.5 + 0.125.
        string[] expected =
        [
            """{"id":"a","reward":2.625,"parts":{"right":1,"like":0,"short":1,"ended":0.5,"right/failed":0},"judge":1}""",
            """{"id":7,"reward":1,"parts":{"right":0,"like":1,"short":0,"ended":0,"right/failed":0},"judge":0}""",
            """{"reward":-0.375,"parts":{"right":-1,"like":1,"short":1,"ended":0.5,"right/failed":1},"judge":0,"problem":"right: column 'answer' is empty"}""",
        ];
        Assert.Equal(expected, File.ReadAllLines(scratch["out.jsonl"]));
    }

    [Theory]
    [InlineData("""{"prompt": "x"}""", "rows.jsonl:1: no column 'response'; there is prompt")]
    [InlineData("""{"response": "x", "refs": []}""", "the reward 'reward': rows.jsonl:1: there is no reference response; to go on with a score for such rows, set failure_score")]
    [InlineData("""{"response": "x", "references": [1]}""", "rows.jsonl:1: column 'references': element 1: expected text, found the number 1")]
    [InlineData("""{"response": "x", "references": ["x"], "ended": "no"}""", "rows.jsonl:1: column 'ended': expected true or false, found the text \"no\"")]
    public void What_is_wrong_with_a_row_is_one_line(string row, string said)
    {
        using var scratch = new Scratch();
        var rows = scratch.Write("rows.jsonl", row);
        var line = Cli.Run("reward", "score", "--recipe", TrainTests.Recipe(scratch, "run"), "--rows", rows, "--set", "reward={kind: metric, metric: rougeL}").OneErrorLine(ExitCode.Failed);
        Assert.Equal($"error: {said}", line.Replace(rows, "rows.jsonl", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("{kind: metric, metric: blue}", "reward.metric", "there is no metric 'blue'; did you mean 'bleu'?")]
    [InlineData("{kind: metric, metric: self_bleu}", "reward.metric", "a reward is of one")]
    [InlineData("{kind: metric, metric: bleu, stem: true}", "reward.stem", "is not used by bleu")]
    [InlineData("{kind: metric, metric: distinct_1, column: a}", "reward.column", "is not used by distinct_1")]
    [InlineData("{kind: metric, metric: bertscore}", "reward.encoder", "bertscore needs an encoder")]
    [InlineData("{kind: metric, metric: coverage}", "reward.column", "coverage needs the column")]
    [InlineData("{kind: match, pattern: (a}", "reward.pattern", "no regular expression at character 3")]
    [InlineData("{kind: match, tolerance: 0.1}", "reward.tolerance", "is for numbers")]
    [InlineData("{kind: length_range}", "reward.at_least", "neither at_least nor at_most is set")]
    [InlineData("{kind: length_range, at_least: 3, at_most: 2}", "reward.at_most", "no response could be within")]
    [InlineData("{kind: program, program: sh, parts: [a, a]}", "reward.parts", "'a' is named twice")]
    [InlineData("{kind: http, url: localhost}", "reward.url", "is no address such as")]
    [InlineData("{kind: http, url: 'http://example.invalid/score'}", "reward.url", "example.invalid would be asked without encryption")]
    [InlineData("{kind: model_judge, url: 'http://192.0.2.1/v1/chat/completions', model: m, template: '{response}'}", "reward.url", "192.0.2.1 would be asked without encryption")]
    [InlineData("{kind: http, url: 'https://me:secret@example.invalid/score'}", "reward.url", "holds a name or a password")]
    [InlineData("{kind: http, url: 'http://localhost', token_variable: RLGF_NOT_SET}", "reward.token_variable", "the environment has no variable RLGF_NOT_SET")]
    [InlineData("{kind: model_judge, url: 'http://localhost', model: m, template: '{respons}'}", "reward.template", "holds {respons}, which stands for nothing")]
    [InlineData("{kind: sum, parts: [{name: a, clip_at_least: 2, clip_at_most: 1, reward: {kind: ended}}]}", "reward.parts", "clip_at_most of 'a' is below its clip_at_least")]
    public void A_reward_that_can_not_be_is_refused_with_its_key(string reward, string key, string said)
    {
        using var scratch = new Scratch();
        var line = Cli.Run("reward", "score", "--recipe", TrainTests.Recipe(scratch, "run"), "--rows", scratch.Write("rows.jsonl", """{"response": "x"}"""), "--set", $"reward={reward}").OneErrorLine(ExitCode.Failed);
        Assert.Contains(key, line, StringComparison.Ordinal);
        Assert.Contains(said, line, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_is_trained_and_evaluated_by_rewards_from_data()
    {
        using var scratch = new Scratch();
        scratch.Write("prompts.jsonl", [.. Enumerable.Range(0, 12).Select(i => $$"""{"text": "The acting is {{(i % 2 == 0 ? "good and the end is better" : "bad and the rest is worse")}} {{i}}", "answer": "a", "words": ["good", "end"]}""")]);
        var reward = "reward={kind: sum, parts: [{name: chrf, weight: 0.01, reward: {kind: metric, metric: chrf}}, {name: cider, reward: {kind: metric, metric: cider_d}}, " +
            "{name: words, reward: {kind: coverage, column: words}}, {name: right, reward: {kind: match, column: answer}}" +
            (OperatingSystem.IsWindows() ? "" : ", {name: checked, reward: {kind: program, program: sh, arguments: [-c, 'while read -r line; do echo 0.5; done'], failure_score: 0}}") + "]}";
        var result = Cli.Run("train", TrainTests.Recipe(scratch, "run"), "--set", reward);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var metrics = Fixtures.Rows(scratch["run/metrics.jsonl"]);
        Assert.All(metrics, row => Assert.InRange(row["reward/part/chrf"]!.GetValue<double>(), 0, 100));
        var parts = Fixtures.Rows(Path.Combine(scratch["run"], "evaluations", "iteration-00000.jsonl"))[0]["reward_parts"]!.AsObject();
        Assert.Superset(new HashSet<string> { "chrf", "cider", "words", "right" }, parts.Select(part => part.Key).ToHashSet());
        if (OperatingSystem.IsWindows()) return;
        Assert.All(metrics, row => Assert.Equal((0.5, 0), (row["reward/part/checked"]!.GetValue<double>(), row["reward/part/checked/failed"]!.GetValue<double>())));
        Assert.Equal(ExitCode.Ok, Cli.Run("evaluate", scratch["run"]).Code);
    }

    [Fact]
    public void What_is_rare_is_counted_in_the_texts_of_the_training_prompts()
    {
        using var scratch = new Scratch();
        // Two prompts, of which one has each word: all n-grams of 1 and 2 words match, and there are none of 3 and 4.
        scratch.Write("prompts.jsonl", """{"text": "The acting is good and", "gold": "a dog"}""", """{"text": "The acting is bad and", "gold": ["some cat"]}""");
        string[] score = ["reward", "score", "--recipe", TrainTests.Recipe(scratch, "run"), "--rows", scratch.Write("rows.jsonl", """{"response": "a dog", "gold": "a dog", "references": ["a dog"]}"""), "--set"];
        var byColumn = Cli.Run([.. score, "reward={kind: metric, metric: cider_d, column: gold}"]);
        Assert.True(byColumn.Code == ExitCode.Ok, byColumn.Error);
        Assert.Equal(5, JsonNode.Parse(byColumn.Output)!["reward"]!.GetValue<double>(), 1e-9);
        // Cut prompts end with their texts: there is no reference to count in.
        var none = Cli.Run([.. score, "reward={kind: metric, metric: cider_d}", "--set", "data.prompt_tokens=null", "--set", "guide=null", "--set", "algorithm={name: ppo}"]).OneErrorLine(ExitCode.Failed);
        Assert.Contains("cider_d counts in the references of the training prompts, and none of them has one", none, StringComparison.Ordinal);
    }

    [Fact]
    public void Rows_without_references_are_told_before_a_run()
    {
        using var scratch = new Scratch();
        scratch.Write("prompts.jsonl", [.. Enumerable.Range(0, 12).Select(i => $$"""{"text": "The acting is good and {{i}}", "gold": {{(i == 7 ? "null" : "\"a\"")}}}""")]);
        string[] run = ["check", TrainTests.Recipe(scratch, "run"), "--set", "guide=null", "--set", "algorithm={name: ppo}", "--set", "data.reference_column=gold"];
        var result = Cli.Run([.. run, "--set", "reward={kind: metric, metric: rouge1}"]);
        Assert.Contains("1 of 12 prompts can't be scored by 'reward', ", result.Output + result.Error, StringComparison.Ordinal);
        Assert.Contains("prompts.jsonl:8 first: there is no reference response; filter them out, or set failure_score", result.Output + result.Error, StringComparison.Ordinal);
        var going = Cli.Run([.. run, "--set", "reward={kind: metric, metric: rouge1, failure_score: 0}"]);
        Assert.Contains("there is no reference response; they get 0", going.Output + going.Error, StringComparison.Ordinal);
    }
}
