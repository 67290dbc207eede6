using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary>Problems that are made, and guides that answer them.</summary>
public sealed class TaskTests
{
    [Fact]
    public void Chains_are_rows_of_a_prompt_and_its_answer()
    {
        using var scratch = new Scratch();
        foreach (var file in (string[])["a.jsonl", "b.jsonl"])
            Assert.Equal(ExitCode.Ok, Cli.Run("task", "chain", "--length", "4", "--rows", "50", "--seed", "3", "--output", scratch[file]).Code);
        Assert.Equal(File.ReadAllText(scratch["a.jsonl"]), File.ReadAllText(scratch["b.jsonl"]));
        Assert.Equal(ExitCode.Ok, Cli.Run("task", "chain", "--length", "4", "--rows", "20", "--skip", "30", "--seed", "3", "--output", scratch["last.jsonl"]).Code);
        Assert.Equal(File.ReadAllLines(scratch["a.jsonl"])[30..], File.ReadAllLines(scratch["last.jsonl"]));
        var rows = Fixtures.Rows(scratch["a.jsonl"]);
        Assert.Equal(50, rows.Select(row => (string)row["prompt"]!).Distinct().Count());
        Assert.All(rows, row =>
        {
            var (prompt, answer) = ((string)row["prompt"]!, (string)row["answer"]!);
            Assert.Equal(string.Concat(Enumerable.Range(1, 4).Select(n => prompt[..n].Sum(digit => digit - '0') % 10)), answer);
        });
    }

    [Fact]
    public void Tables_and_formulas_are_rows_whose_answers_their_reward_likes()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("task", "table", "--question", "order", "--people", "3", "--rows", "20", "--output", scratch["table.jsonl"]).Code);
        Assert.All(Fixtures.Rows(scratch["table.jsonl"]), row => Assert.Equal(["prompt", "answer"], row.AsObject().Select(pair => pair.Key)));

        Assert.Equal(ExitCode.Ok, Cli.Run("task", "stack", "--operators", "3", "--rows", "20", "--output", scratch["stack.jsonl"]).Code);
        var problems = Fixtures.Rows(scratch["stack.jsonl"]);
        Assert.All(problems, row => Assert.Equal(["prompt", "answer", "cases"], row.AsObject().Select(pair => pair.Key)));
        string[] responses = [.. problems.SelectMany(row => (string[])[Answered(row, (string)row["answer"]!), Answered(row, "ab+")])];
        Assert.Equal(ExitCode.Ok, Cli.Run(
            "reward", "score", "--recipe", TrainTests.Recipe(scratch, "run"), "--rows", scratch.Write("responses.jsonl", responses), "--output", scratch["scores.jsonl"], "--set", "reward={kind: stack_program}").Code);
        Assert.Equal(Enumerable.Repeat((double[])[1, 0], 20).SelectMany(pair => pair), Fixtures.Rows(scratch["scores.jsonl"]).Select(row => row["reward"]!.GetValue<double>()));

        static string Answered(JsonNode row, string response)
        {
            var answered = row.DeepClone();
            answered["response"] = response;
            return answered.ToJsonString();
        }
    }

    [Theory]
    [InlineData(0, 5, "--length is 0")]
    [InlineData(4, 0, "--rows is 0")]
    [InlineData(4, 10_001, "there are 10,000 problems")]
    public void What_can_not_be_made_is_one_line(int length, int rows, string message)
    {
        using var scratch = new Scratch();
        Assert.Contains(message, Cli.Run("task", "chain", "--length", $"{length}", "--rows", $"{rows}", "--output", scratch["a.jsonl"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.False(File.Exists(scratch["a.jsonl"]));
    }

    [Fact]
    public void A_guides_answers_are_rows_that_supervised_training_reads()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        var result = Cli.Run("guide", "sample", recipe, "--answers", "20", "--output", scratch["answers.jsonl"]);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var rows = Fixtures.Rows(scratch["answers.jsonl"]);
        Assert.Equal(20, rows.Length);
        // The references' own words, each prompt of the twelve once before any comes again: six of either kind.
        Assert.Equal([6, 6], rows.Take(12).GroupBy(row => ((string)row["text"]!)[..8]).Select(group => group.Count()));
        Assert.All(rows, row => Assert.Equal(((string)row["text"]!).Contains('e') ? 1 : 0, (double)row["reward"]!));
        Assert.Contains("20 answers of", result.Error, StringComparison.Ordinal);
        Assert.Contains($"mean reward {rows.Average(row => (double)row["reward"]!):0.0000}", result.Error, StringComparison.Ordinal);

        var sft = scratch.Write("sft.yaml", "kind: sft", "name: taught", $"output: {scratch["taught"]}", "model:", "  kind: folder", $"  path: {Fixtures.Model("gpt2")}", "data:", $"  path: {scratch["answers.jsonl"]}",
            "  prompt_column: prompt", "  column: text", "  filter: reward == 1", "  held_out_rows: 2", "training:", "  max_steps: 1", "  rows_per_step: 4");
        var taught = Cli.Run("sft", sft);
        Assert.True(taught.Code == ExitCode.Ok, taught.Error);
    }

    [Theory]
    [InlineData("guide={kind: imperfect_references, right: 0.5, alphabet: ''}", "alphabet: a wrong character has to be another")]
    [InlineData("guide={kind: imperfect_references, right: 0.5, alphabet: '11'}", "alphabet: a wrong character has to be another")]
    [InlineData("guide={kind: imperfect_references, right: 0}", "right")]
    [InlineData("reward={kind: program, program: ''}", "program: it is empty")]
    [InlineData("reward={kind: program, program: sh, script: nope.sh, failure_score: -1}", "nope.sh: there is no such file")]
    public void Settings_that_would_pass_for_others_are_refused(string set, string message)
    {
        using var scratch = new Scratch();
        var line = Cli.Run("guide", "sample", TrainTests.Recipe(scratch, "run"), "--set", set, "--output", scratch["answers.jsonl"]).OneErrorLine(ExitCode.Failed);
        Assert.Contains(message, line, StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_name_of_an_output_is_one_line()
    {
        using var scratch = new Scratch();
        Assert.Contains("the name of the output is empty", Cli.Run("task", "chain", "--rows", "2", "--output", "").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("the name of the output is empty", Cli.Run("guide", "sample", TrainTests.Recipe(scratch, "run"), "--output", "").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("the name of the recipe is empty", Cli.Run("train", "").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void A_recipe_without_a_guide_has_none_to_ask()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        File.WriteAllLines(recipe, File.ReadAllLines(recipe).Where(line => line is not ("guide:" or "  kind: references")).Select(line => line == "  name: ppo_plus_plus" ? "  name: ppo" : line));
        Assert.Contains("guide: the recipe has none to ask", Cli.Run("guide", "sample", recipe, "--output", scratch["answers.jsonl"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.False(File.Exists(scratch["answers.jsonl"]));
    }

    [Fact]
    public void An_algorithm_without_lessons_refuses_their_keys_and_gets_them_by_a_coefficient()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        Assert.Contains("'ppo_plus_plus' remembers no lessons", Cli.Run("train", recipe, "--set", "algorithm.lessons.window=4").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("use adaptive_v1", Cli.Run("train", recipe, "--set", "algorithm.name=adaptive", "--set", "algorithm.guide_credit.gap=measured").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("asking: 'ppo' has no guide to ask", Cli.Run("check", recipe, "--set", "algorithm.name=ppo", "--set", "algorithm.lessons={coefficient: 1, asking: measured}").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        var result = Cli.Run("train", recipe, "--set", "algorithm.lessons.coefficient=1", "--set", "iterations=1");
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        Assert.NotNull(JsonNode.Parse(File.ReadLines(scratch["run/metrics.jsonl"]).First())!["lessons/memory"]);
        Assert.True(File.Exists(scratch["run/checkpoints/iteration-00001/lessons.bin"]));
    }
}
