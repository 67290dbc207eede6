using System.Globalization;
using Rlgf.Runs;

namespace Rlgf.Cli.Tests;

/// <summary>Which model is measured, and how sure the means are.</summary>
public sealed class EvaluateTests
{
    [Fact]
    public void Of_a_run_the_trained_policy_is_measured_and_named_with_intervals()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        Assert.Equal(ExitCode.Ok, Cli.Run("train", recipe, "--set", "update.learning_rate=0.01").Code);
        var policy = Path.Combine(scratch["run"], "checkpoints", "iteration-00003", "policy");
        var last = new RunFolder(scratch["run"]).ReadEvaluations()[^1];
        var start = new RunFolder(scratch["run"]).ReadEvaluations()[0];
        Assert.NotEqual(start.Metrics["perplexity/start"], last.Metrics["perplexity/start"]);

        var trained = Lines("evaluate", scratch["run"]);
        Assert.Equal(policy, trained["model"]);
        Assert.Equal("4", trained["prompts"]);
        Assert.Equal(last.Metrics["perplexity/start"], Number(trained["perplexity/start"]), 1e-3);
        Assert.Equal(trained["perplexity/start"], Lines("evaluate", Path.Combine(scratch["run"], "recipe.yaml"))["perplexity/start"]);

        // Student's t of 3 degrees of freedom at 0.975 is 3.1824.
        double[] lengths = [.. last.Rows.Select(row => (double)row.Tokens)];
        var mean = lengths.Average();
        var half = 3.182446 * Math.Sqrt(lengths.Sum(x => (x - mean) * (x - mean)) / 3 / 4);
        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"{mean:0.0000} ± {half:0.0000}"), trained["response/length"]);
        Assert.DoesNotContain("±", trained["distinct/2"], StringComparison.Ordinal);

        foreach (var begun in new[] { Lines("evaluate", scratch["run"], "--start"), Lines("evaluate", recipe) })
        {
            Assert.StartsWith("the starting model, ", begun["model"], StringComparison.Ordinal);
            Assert.Equal(start.Metrics["perplexity/start"], Number(begun["perplexity/start"]), 1e-3);
        }

        Assert.Equal("the guide, references", Lines("evaluate", scratch["run"], "--guide")["model"]);
        Assert.Contains("--model, --start and --guide exclude each other", Cli.Run("evaluate", scratch["run"], "--start", "--guide").OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);
        Directory.Delete(Path.Combine(scratch["run"], "checkpoints"), recursive: true);
        Assert.Contains("has no checkpoint yet, so there is no trained policy to evaluate; --start", Cli.Run("evaluate", scratch["run"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void Of_several_answers_what_is_said_is_what_the_rows_hold_and_the_rows_are_data_split_by_difficulty()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        string[] all = ["--set", "evaluation.prompts=12", "--set", "reward.pattern='[ei]'"];
        var split = scratch["split.jsonl"];
        var said = Lines(["evaluate", recipe, "--samples", "5", "--success", "0.9", "--output", split, .. all]);
        var rows = Fixtures.Rows(split);
        Assert.Equal("12", said["prompts"]);
        Assert.Equal("5", said["samples"]);
        Assert.Equal("reward ≥ 0.9", said["success"]);
        double[][] rewards = [.. rows.Select(row => Fixtures.Numbers(row["rewards"]))];
        Assert.All(rewards, answers => Assert.Equal(5, answers.Length));
        Assert.Contains(rewards, answers => answers.Distinct().Count() > 1);
        Assert.Equal(rewards.Average(answers => answers.Average()), Number(said["reward/mean"]), 1e-4);
        // By enumeration of all subsets.
        foreach (var k in new[] { 1, 2, 4, 5 })
        {
            int[][] subsets = [.. Enumerable.Range(0, 32).Where(bits => int.PopCount(bits) == k).Select(bits => Enumerable.Range(0, 5).Where(i => (bits >> i & 1) == 1).ToArray())];
            Assert.Equal(rewards.Average(answers => subsets.Average(subset => subset.Max(i => answers[i]))), Number(said[$"reward/best@{k}"]), 1e-4);
            Assert.Equal(rewards.Average(answers => subsets.Average(subset => subset.Any(i => answers[i] >= 0.9) ? 1 : 0)), Number(said[$"pass@{k}"]), 1e-4);
        }

        Assert.DoesNotContain("pass@3", said.Keys);
        Assert.Equal(rewards.Average(answers => answers.Max() < 0.9 ? 1 : 0), Number(said["never_solved"]), 1e-4);
        var texts = Fixtures.Rows(scratch["prompts.jsonl"]).Select(row => (string?)row["text"]).ToArray();
        Assert.Equal(texts, rows.Select(row => (string?)row["text"]));
        Assert.All(rows, row =>
        {
            var solved = Fixtures.Numbers(row["rewards"]).Count(reward => reward >= 0.9);
            Assert.Equal((solved, 5), ((int)row["solved"]!, (int)row["samples"]!));
            Assert.Equal(solved switch { 0 => "never", 1 => "hard", <= 3 => "medium", _ => "easy" }, (string?)row["difficulty"]);
        });
        var counts = rows.GroupBy(row => (string)row["difficulty"]!).ToDictionary(group => group.Key, group => group.Count());
        foreach (var name in (string[])["never", "hard", "medium", "easy"]) Assert.Equal(counts.GetValueOrDefault(name).ToString(CultureInfo.InvariantCulture), said[$"difficulty/{name}"]);

        // The first answers are those that are drawn without --samples.
        Lines(["evaluate", recipe, "--output", scratch["once.jsonl"], .. all]);
        Assert.Equal(Fixtures.Rows(scratch["once.jsonl"]).Select(row => (double)row["reward"]!), rewards.Select(answers => answers[0]));

        // A recipe takes its rows by their difficulty, and an earlier split makes room.
        var kind = counts.Keys.First();
        string[] filtered = [.. all, "--set", $"data.evaluation_path={split}", "--set", $"data.filter=difficulty == '{kind}'", "--set", $"data.path={split}"];
        Assert.Equal(counts[kind].ToString(CultureInfo.InvariantCulture), Lines(["evaluate", recipe, .. filtered])["prompts"]);
        Lines(["evaluate", recipe, "--samples", "2", "--output", scratch["again.jsonl"], .. filtered]);
        Assert.All(Fixtures.Rows(scratch["again.jsonl"]), row => Assert.Equal(["text", "difficulty", "solved", "samples", "rewards"], row.AsObject().Select(pair => pair.Key)));
    }

    [Fact]
    public void By_a_column_results_are_given_for_each_of_its_values()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        string[] texts = [.. Fixtures.Rows(scratch["prompts.jsonl"]).Select(row => (string)row["text"]!)];
        scratch.Write("prompts.jsonl", [.. texts.Select((text, i) => $$"""{"text": "{{text}}", "kind": {{(i % 3 == 0 ? "\"rare\"" : "7")}}}""")]);
        string[] all = ["--set", "evaluation.prompts=12", "--set", "reward.pattern='[ei]'", "--set", "evaluation.by=kind"];
        var said = Lines(["evaluate", recipe, "--samples", "4", "--output", scratch["rows.jsonl"], "--against", Fixtures.Model("gpt2"), .. all]);
        var rows = Fixtures.Rows(scratch["rows.jsonl"]);
        foreach (var kind in (string[])["rare", "7"])
        {
            double[][] rewards = [.. rows.Where(row => row["kind"]!.ToString() == kind).Select(row => Fixtures.Numbers(row["rewards"]))];
            Assert.Equal(rewards.Length, Number(said[$"prompts/{kind}"]));
            Assert.Equal(rewards.Average(answers => answers.Average()), Number(said[$"pass@1/{kind}"]), 1e-4);
            Assert.Equal(rewards.Average(answers => answers.Max()), Number(said[$"pass@4/{kind}"]), 1e-4);
            // The model against itself.
            Assert.Equal(0, Number(said[$"difference/reward/{kind}"]));
            // Of one answer, the first of the four.
            Assert.Equal(rewards.Average(answers => answers[0]), Number(Lines(["evaluate", recipe, .. all])[$"reward/by/{kind}"]), 1e-4);
        }

        // A run logs it, and the table of runs has a column for each.
        Assert.Equal(ExitCode.Ok, Cli.Run(["train", recipe, .. all]).Code);
        var last = new RunFolder(scratch["run"]).ReadEvaluations()[^1];
        Assert.Equal(last.Rows.Where(row => row.Group == "rare").Average(row => row.Reward), last.Metrics["reward/by/rare"]);
        var compared = Cli.Run("compare", scratch["run"]).Output;
        Assert.Contains("by rare", compared, StringComparison.Ordinal);
        Assert.Contains("by 7", compared, StringComparison.Ordinal);

        Assert.Contains("no column 'sort'", Cli.Run(["evaluate", recipe, .. all, "--set", "evaluation.by=sort"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void Held_out_prompts_are_split_by_the_start_and_a_run_reports_each_class_in_every_evaluation()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        string[] all = ["--set", "evaluation.prompts=12", "--set", "reward.pattern='[ei]'"];
        Lines(["evaluate", recipe, "--start", "--samples", "4", "--output", scratch["split.jsonl"], .. all]);
        var classes = Fixtures.Rows(scratch["split.jsonl"]).GroupBy(row => (string)row["difficulty"]!).ToDictionary(group => group.Key, group => group.Count());
        Assert.True(classes.Count > 1);

        Assert.Equal(ExitCode.Ok, Cli.Run(["train", recipe, .. all, "--set", $"data.evaluation_path={scratch["split.jsonl"]}", "--set", "evaluation.by=difficulty"]).Code);
        var evaluations = new RunFolder(scratch["run"]).ReadEvaluations();
        Assert.Equal(3, evaluations.Count);
        foreach (var evaluation in evaluations)
        {
            Assert.Equal(classes.Keys.Order().Select(name => $"reward/by/{name}"), evaluation.Metrics.Keys.Where(key => key.StartsWith("reward/by/", StringComparison.Ordinal)).Order());
            Assert.Equal(evaluation.Metrics["reward/mean"], classes.Sum(one => one.Value * evaluation.Metrics[$"reward/by/{one.Key}"]) / 12, 1e-12);
        }
    }

    [Fact]
    public void Against_another_model_wins_are_counted_prompt_by_prompt()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        Assert.Equal(ExitCode.Ok, Cli.Run("train", recipe, "--set", "update.learning_rate=0.01", "--set", "reward.pattern='[ei]'").Code);
        var policy = Path.Combine(scratch["run"], "checkpoints", "iteration-00003", "policy");
        string[] all = ["--set", "evaluation.prompts=12", "--set", "reward.pattern='[ei]'", "--set", "judge={kind: regex, pattern: '[a-d]'}"];
        double[] Column(string name, string[] args)
        {
            Lines(["evaluate", recipe, .. all, "--output", scratch["rows.jsonl"], .. args]);
            return [.. Fixtures.Rows(scratch["rows.jsonl"]).Select(row => (double)row[name]!)];
        }

        // Of one answer each.
        var said = Lines(["evaluate", recipe, .. all, "--model", policy, "--against", Fixtures.Model("gpt2")]);
        Assert.Equal(Fixtures.Model("gpt2"), said["against"]);
        foreach (var name in (string[])["reward", "judge"])
        {
            var (start, trained) = (Column(name, []), Column(name, ["--model", policy]));
            Assert.Equal(trained.Zip(start, (a, b) => a > b ? 1 : a == b ? 0.5 : 0).Average(), Number(said[$"win_rate/{name}"]), 1e-4);
            Assert.Equal(trained.Zip(start, (a, b) => a - b).Average(), Number(said[$"difference/{name}"]), 1e-4);
        }

        // The run is its policy: each answer meets each of the same answers.
        var even = Lines(["evaluate", recipe, .. all, "--samples", "3", "--model", policy, "--against", scratch["run"]]);
        Assert.Equal("0.5000 [0.5000, 0.5000]", even["win_rate/reward"]);
        Assert.Equal("0.0000 ± 0.0000", even["difference/reward"]);
        Assert.Equal(policy, even["against"]);
    }

    [Theory]
    [InlineData(ExitCode.WrongUse, "--samples 0: expected 1 to 65536 answers to each prompt", "--samples", "0")]
    [InlineData(ExitCode.WrongUse, "--success says which of several answers are right: it needs --samples", "--success", "0.5")]
    [InlineData(ExitCode.WrongUse, "--success: expected a number, such as 0.7; found 'much'", "--samples", "2", "--success", "much")]
    [InlineData(ExitCode.Failed, "2 answers to a prompt would all be the same: evaluation.decoding is greedy", "--samples", "2", "--set", "evaluation.decoding={max_new_tokens: 6, greedy: true}")]
    [InlineData(ExitCode.Failed, "no such", "--against", "nowhere")]
    public void What_can_not_be_measured_is_one_line(int code, string message, params string[] args)
    {
        using var scratch = new Scratch();
        Assert.Contains(message, Cli.Run(["evaluate", TrainTests.Recipe(scratch, "run"), .. args]).OneErrorLine(code), StringComparison.Ordinal);
    }

    [Fact]
    public void A_column_that_a_split_needs_is_named_before_anything_is_drawn()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        scratch.Write("prompts.jsonl", [.. Enumerable.Range(0, 6).Select(i => $$"""{"text": "The acting is good and so on", "solved": {{i}}}""")]);
        Assert.Contains("column 'solved': rows of --samples have a column of that name (besides difficulty, samples, rewards); call it otherwise in the data",
            Cli.Run("evaluate", recipe, "--samples", "2", "--output", scratch["split.jsonl"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    private static double Number(string cell) => double.Parse(cell.Split(' ')[0], CultureInfo.InvariantCulture);

    private static Dictionary<string, string> Lines(params string[] args)
    {
        var result = Cli.Run(args);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        return result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).ToDictionary(line => line.Split(' ')[0], line => line[line.Split(' ')[0].Length..].Trim());
    }
}
