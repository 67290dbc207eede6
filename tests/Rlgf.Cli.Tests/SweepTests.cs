using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Rlgf.App.Report;
using Rlgf.App.Sweeps;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.Cli.Tests;

/// <summary>Every combination of values and seeds, in processes of their own, and what is made of them.</summary>
[Collection(ExactNumbersCollection.Name)]
public sealed class SweepTests
{
    private static readonly string[] Small = ["--set", "iterations=2", "--set", "evaluation.every=100"];

    [Fact]
    public void Every_combination_is_run_once_and_the_numbers_are_those_of_compare()
    {
        using var scratch = new Scratch();
        string[] command = ["sweep", TrainTests.Recipe(scratch, "unused"), "--over", "update.learning_rate=1e-4,0.01", "--seeds", "1..2", "--processes", "2", "--output", scratch["sweep"], .. Small];
        var first = Cli.Run(command);
        Assert.True(first.Code == ExitCode.Ok, first.Error);

        // The runs and their recipes.
        string[] names = ["learning_rate-0.01/seed-1", "learning_rate-0.01/seed-2", "learning_rate-1e-4/seed-1", "learning_rate-1e-4/seed-2"];
        Assert.Equal(names, Runs(scratch["sweep"]));
        foreach (var name in names)
        {
            var recipe = RunSettings.Of(File.ReadAllText(Path.Combine(scratch["sweep"], name, "recipe.yaml")), ".");
            Assert.Equal(name.Contains("0.01", StringComparison.Ordinal) ? 0.01 : 1e-4, double.Parse(recipe["update.learning_rate"], CultureInfo.InvariantCulture));
            Assert.Equal("2", recipe["iterations"]);
            Assert.Equal(name[^1] - '0', (int)new RunFolder(Path.Combine(scratch["sweep"], name)).ReadDescription().Seed);
        }

        // A run by hand is the same.
        var byHand = Cli.Run(["train", TrainTests.Recipe(scratch, "byhand"), .. Small, "--set", "update.learning_rate=0.01", "--set", "seed=2"]);
        Assert.True(byHand.Code == ExitCode.Ok, byHand.Error);
        Assert.Equal(TrainTests.Metrics(scratch["byhand"]), TrainTests.Metrics(Path.Combine(scratch["sweep"], "learning_rate-0.01/seed-2")));

        // The table.
        var compared = Cli.Run("compare", scratch["sweep/learning_rate-1e-4"], scratch["sweep/learning_rate-0.01"]);
        Assert.Equal(compared.Output, first.Output);
        Assert.Contains("PPO++, l…rning_rate 0.0001 ", first.Output, StringComparison.Ordinal);
        Assert.Contains("PPO++, learning_rate 0.01 ", first.Output, StringComparison.Ordinal);

        // The numbers: means over prompts and seeds of what the runs wrote, by hand.
        var numbers = JsonNode.Parse(File.ReadAllText(Path.Combine(scratch["sweep"], "results.json")))!;
        Assert.Equal(4, (int)numbers["prompts"]!);
        var rows = numbers["rows"]!.AsArray().Where(row => row!["algorithm"] is not null).ToArray();
        Assert.Equal(["0.0001", "0.01"], rows.Select(row => (string?)row!["settings"]!["update.learning_rate"]));
        foreach (var row in rows)
        {
            var folder = row!["settings"]!["update.learning_rate"]!.GetValue<string>() == "0.01" ? "learning_rate-0.01" : "learning_rate-1e-4";
            double[] seeds = [.. new[] { 1, 2 }.Select(seed => Fixtures.Rows(Path.Combine(scratch["sweep"], folder, $"seed-{seed}", "evaluations", "iteration-00002.jsonl")).Average(answer => (double)answer["reward"]!))];
            Assert.Equal(seeds, Fixtures.Numbers(row["reward_of_seeds"]));
            Assert.Equal(seeds.Average(), (double)row["reward"]!["mean"]!, 12);
            Assert.Equal(seeds.Average(), (double)row["reward_over_seeds_and_prompts"]!["mean"]!, 12);
        }

        Assert.Null(rows[0]!["reward_to_first"]);
        Assert.Equal((double)rows[1]!["reward"]!["mean"]! - (double)rows[0]!["reward"]!["mean"]!, (double)rows[1]!["reward_to_first"]!["mean"]!, 12);
        foreach (var file in (string[])["sweep.md", "report.html", "sweep.json", "pictures/against-reward-against-update-learning-rate.svg", "pictures/held-out-reward.svg"]) Assert.True(File.Exists(Path.Combine(scratch["sweep"], file)), file);
        Assert.Contains("Reward against update.learning_rate", File.ReadAllText(Path.Combine(scratch["sweep"], "report.html")), StringComparison.Ordinal);

        // A second call begins no process: there is no such program.
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter();
        using var input = new StringReader("");
        var again = CommandLine.Run(command, new Terminal(input, output, error) { OwnProgram = [scratch["no-such-program"]] });
        Assert.True(again == ExitCode.Ok, error.ToString());
        Assert.Contains("4 runs, 4 of them done", error.ToString(), StringComparison.Ordinal);
        Assert.Equal(first.Output, output.ToString());

        // The same sweep with one value more runs that alone; another sweep is refused before it runs anything.
        string[] With(string values, params string[] more) => ["sweep", TrainTests.Recipe(scratch, "unused"), "--over", values, "--seeds", "1..2", "--output", scratch["sweep"], .. Small, .. more];
        Assert.Contains($"{scratch["sweep"]}: holds another sweep, over update.learning_rate and not kl.coefficient; choose another --output", Cli.Run(With("kl.coefficient=0.1,0.2")).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        foreach (var values in (string[])["update.learning_rate=0.01,0.02", "update.learning_rate=0.02"])
        {
            var other = Cli.Run(With(values, "--set", "rows_per_iteration=12")).OneErrorLine(ExitCode.Failed);
            Assert.StartsWith($"error: {scratch["sweep"]}: holds another sweep: ", other, StringComparison.Ordinal);
            Assert.Contains("was begun with 'rows_per_iteration: 8' and would go on with 'rows_per_iteration: 12'", other, StringComparison.Ordinal);
        }

        Assert.Equal(4, Runs(scratch["sweep"]).Length);
        var more = Cli.Run([.. With("update.learning_rate=0.01,0.02")[..5], "2", .. With("")[6..]]);
        Assert.True(more.Code == ExitCode.Ok, more.Error);
        Assert.Contains("2 runs, 1 of them done", more.Error, StringComparison.Ordinal);
        Assert.Equal([.. names.Take(2), "learning_rate-0.02/seed-2", .. names.Skip(2)], Runs(scratch["sweep"]));
    }

    [Fact]
    public void A_run_that_fails_is_one_line_and_the_others_go_on()
    {
        using var scratch = new Scratch();
        // The context of 128 is known when the model is there, not when the recipe is read.
        var result = Cli.Run(["sweep", TrainTests.Recipe(scratch, "unused"), "--over", "generation.max_new_tokens=6,126", "--output", scratch["sweep"], .. Small]);
        Assert.Equal(ExitCode.Failed, result.Code);
        var line = Assert.Single(result.ErrorLines, line => line.Contains("failed: ", StringComparison.Ordinal));
        Assert.StartsWith("max_new_tokens-126/seed-0: failed: ", line, StringComparison.Ordinal);
        Assert.Contains("context of 128", line, StringComparison.Ordinal);
        Assert.Contains("1 of 2 runs failed and are not in these numbers: max_new_tokens-126/seed-0.", File.ReadAllText(Path.Combine(scratch["sweep"], "sweep.md")), StringComparison.Ordinal);
        Assert.Contains("PPO++", result.Output, StringComparison.Ordinal);
        Assert.Contains("context of 128", File.ReadAllText(Path.Combine(scratch["sweep"], "max_new_tokens-126", "seed-0.log")), StringComparison.Ordinal);
    }

    [Fact]
    public void A_sweep_that_was_killed_leaves_no_process_behind_and_goes_on_to_the_same_numbers()
    {
        using var scratch = new Scratch();
        string[] Sweep(string name) => ["sweep", TrainTests.Recipe(scratch, "unused"), "--over", "kl.coefficient=0.01,0.2", "--output", scratch[name], "--set", "iterations=12", "--set", "evaluation.every=100"];
        Assert.Equal(ExitCode.Ok, Cli.Run(["train", TrainTests.Recipe(scratch, "whole"), "--set", "kl.coefficient=0.2", "--set", "iterations=12", "--set", "evaluation.every=100"]).Code);
        var second = Path.Combine(scratch["killed"], "coefficient-0.2", "seed-0");
        using (var sweep = RunningProcess.Rlgf(Sweep("killed")))
        {
            sweep.WaitFor(() => Rows(second) >= 2);
            sweep.Kill();
        }

        // The one that was left alone stops by itself, and saves.
        var clock = Stopwatch.StartNew();
        while (RunOwnership.IsTaken(second)) Assert.True(clock.Elapsed < TimeSpan.FromMinutes(5), "it goes on");
        Assert.InRange(Rows(second), 2, 11);
        Assert.Equal(Rows(second), NewestCheckpoint(second));

        var resumed = RunningProcess.Rlgf(Sweep("killed")).Finish();
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Contains("2 runs, 1 of them done", resumed.Error, StringComparison.Ordinal);
        Assert.Equal(TrainTests.Metrics(scratch["whole"]), TrainTests.Metrics(second));
    }

    [Fact]
    public void Interrupted_all_runs_save_and_the_same_command_goes_on()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("sends signals by the kill command");
        using var scratch = new Scratch();
        string[] command = ["sweep", TrainTests.Recipe(scratch, "unused"), "--over", "kl.coefficient=0.01,0.2,0.3", "--processes", "2", "--output", scratch["sweep"], "--set", "iterations=30", "--set", "checkpoints.every=100"];
        string Run(string value) => Path.Combine(scratch["sweep"], $"coefficient-{value}", "seed-0");
        using (var sweep = RunningProcess.Rlgf(command))
        {
            sweep.WaitFor(() => Rows(Run("0.01")) >= 2 && Rows(Run("0.2")) >= 2);
            sweep.Signal(RunningProcess.Interrupt);
            var (code, _, error) = sweep.Finish();
            Assert.True(code == ExitCode.Stopped, error);
            Assert.Contains("stopped with 0 of 3 runs done; the same command goes on", error, StringComparison.Ordinal);
        }

        foreach (var value in (string[])["0.01", "0.2"])
        {
            Assert.InRange(Rows(Run(value)), 2, 29);
            Assert.Equal(Rows(Run(value)), NewestCheckpoint(Run(value)));
        }

        Assert.False(Directory.Exists(Run("0.3")));
        var resumed = RunningProcess.Rlgf([.. command[..2], "--over", "kl.coefficient=0.01", .. command[4..]]).Finish();
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Contains("resumed at iteration", File.ReadAllText(Run("0.01") + ".log"), StringComparison.Ordinal);
    }

    [Fact]
    public void Several_recipes_are_compared_by_a_program_with_kinds_of_its_own()
    {
        using var scratch = new Scratch();
        var recipe = Path.Combine(Repository.Root, "examples", "OwnRewardAndGuide", "my.yaml");
        var other = scratch.Write("other.yaml", [.. File.ReadAllLines(recipe).Select(line => line.Replace("../..", Repository.Root, StringComparison.Ordinal).Replace("adaptive", "ppo_plus_plus", StringComparison.Ordinal))]);
        using var sweep = RunningProcess.Of("dotnet",
        [
            Path.Combine(AppContext.BaseDirectory, "OwnRewardAndGuide.dll"), "sweep", recipe, other, "--output", scratch["sweep"], "--set", "iterations=1", "--set", "rows_per_iteration=8",
            "--set", "update.rows_per_minibatch=8", "--set", "evaluation.prompts=6", "--seeds", "7",
        ]);
        var (code, _, error) = sweep.Finish();
        Assert.True(code == ExitCode.Ok, error);
        Assert.Equal(["recipe-my/seed-7", "recipe-other/seed-7"], Runs(scratch["sweep"]));
        Assert.Equal(["adaptive", "ppo_plus_plus"], Runs(scratch["sweep"]).Select(name => new RunFolder(Path.Combine(scratch["sweep"], name)).ReadDescription().Algorithm));
    }

    [Theory]
    [InlineData(ExitCode.WrongUse, "--over update.epochs: expected KEY=VALUE,VALUE", "--over", "update.epochs")]
    [InlineData(ExitCode.WrongUse, "--over update.epochs=: there are no values", "--over", "update.epochs=")]
    [InlineData(ExitCode.WrongUse, "--over update.epochs=1,,2: a value is empty", "--over", "update.epochs=1,,2")]
    [InlineData(ExitCode.WrongUse, "--over update.epochs=1,2,1: the value 1 is there twice", "--over", "update.epochs=1,2,1")]
    [InlineData(ExitCode.WrongUse, "--over seed=1,2: seeds are given by --seeds", "--over", "seed=1,2")]
    [InlineData(ExitCode.WrongUse, "--over output=a,b: each run has a folder of its own", "--over", "output=a,b")]
    [InlineData(ExitCode.WrongUse, "--over update.epochs is there twice", "--over", "update.epochs=1", "--over", "update.epochs=2")]
    [InlineData(ExitCode.WrongUse, "--set update.epochs=3: --over gives this key its values", "--over", "update.epochs=1,2", "--set", "update.epochs=3")]
    [InlineData(ExitCode.WrongUse, "--set output=x: each run has a folder of its own", "--set", "output=x")]
    [InlineData(ExitCode.WrongUse, "--set seed=2: the seeds are given by --seeds", "--seeds", "1..2", "--set", "seed=2")]
    [InlineData(ExitCode.WrongUse, "--seeds 5..1: 5..1 goes backwards; write 1..5", "--seeds", "5..1")]
    [InlineData(ExitCode.WrongUse, "--seeds 1,1: the seed 1 is there twice", "--seeds", "1,1")]
    [InlineData(ExitCode.WrongUse, "--seeds one: expected whole numbers", "--seeds", "one")]
    [InlineData(ExitCode.WrongUse, "--seeds -1..2: expected whole numbers", "--seeds", "-1..2")]
    [InlineData(ExitCode.WrongUse, "--seeds 1..99999999999: more than 10000 seeds", "--seeds", "1..99999999999")]
    [InlineData(ExitCode.WrongUse, "these are 101 settings with 100 seeds each; a sweep has at most 10000 runs", "--seeds", "1..100", "--over", "update.epochs=MANY")]
    [InlineData(ExitCode.WrongUse, "--processes 0: at least 1 run at a time", "--processes", "0")]
    [InlineData(ExitCode.WrongUse, "learning_rate-1e-2 is the same setting as learning_rate-0.01", "--over", "update.learning_rate=0.01,1e-2")]
    [InlineData(ExitCode.WrongUse, "every-2 is the same setting as every-1", "--over", "checkpoints.every=1,2")]
    [InlineData(ExitCode.Failed, "unknown key 'update.epoch'; did you mean 'epochs'?", "--over", "update.epoch=1,2")]
    [InlineData(ExitCode.Failed, "update.epochs is 0; it must be at least 1", "--over", "update.epochs=1,0")]
    [InlineData(ExitCode.Failed, "'ppo_plus_plus' doesn't switch; that is d2lols", "--over", "algorithm.switch_iteration=1,2")]
    [InlineData(ExitCode.Failed, "data.evaluation_path: a sweep compares its runs on held-out prompts, and the recipe has none: set it", "--set", "data.evaluation_path=null", "--set", "evaluation={every: 2}", "--over", "update.epochs=1,2")]
    [InlineData(ExitCode.Failed, "there is no such recipe", "none.yaml")]
    [InlineData(ExitCode.Failed, "--set update.epochs=3: --set update={epochs: 2}, which comes after it, sets all of 'update' anew", "--set", "update.epochs=3", "--set", "update={epochs: 2}")]
    [InlineData(ExitCode.WrongUse, "the recipe is there twice", "SAME")]
    public void What_is_wrong_is_one_line_before_anything_runs(int code, string message, params string[] args)
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "unused");
        string Given(string arg) => arg.Replace("MANY", string.Join(',', Enumerable.Range(1, 101)), StringComparison.Ordinal).Replace("SAME", recipe, StringComparison.Ordinal);
        Assert.Contains(message, Cli.Run(["sweep", recipe, "--output", scratch["sweep"], .. args.Select(Given)]).OneErrorLine(code), StringComparison.Ordinal);
        Assert.False(Directory.Exists(scratch["sweep"]));
    }

    [Fact]
    public void A_comma_within_a_value_belongs_to_it()
    {
        Assert.Equal(["{name: ppo, gamma: 1}", "{name: lols}", "[1, 2]", "'a,b'", "it's", "x\"y"], SweptKey.Parse("algorithm={name: ppo, gamma: 1},{name: lols} , [1, 2],'a,b',it's,x\"y").Values);
        Assert.Equal([3UL, 1, 2, 7], SeedList.Parse("3,1..2,7"));
    }

    [Fact]
    public void A_key_of_a_section_that_varies_is_set_in_each_of_its_values()
    {
        using var scratch = new Scratch();
        RecipeChange[] changes = ["algorithm.gamma=0.5", "update={epochs: 3}"];
        SweptKey[] keys = [SweptKey.Parse("algorithm={name: ppo},{name: adaptive, gamma: 0.25}"), SweptKey.Parse("update.clip_range=0.1,0.3")];
        var plan = SweepPlan.Of(new SweepRequest([TrainTests.Recipe(scratch, "unused")], changes, keys, null, scratch["sweep"]), (file, all) => RecipeFile.Load<TrainRecipe>(file, all));
        Assert.Equal(
            [("ppo", 0.5, 3, 0.1), ("ppo", 0.5, 3, 0.3), ("adaptive", 0.5, 3, 0.1), ("adaptive", 0.5, 3, 0.3)],
            plan.Runs.Select(run => (run.Recipe.Algorithm.Name, run.Recipe.Algorithm.Gamma!.Value, run.Recipe.Update.Epochs, run.Recipe.Update.ClipRange!.Value)));
    }

    [Fact]
    public void A_folder_of_a_run_and_a_sweep_that_goes_on_elsewhere_are_refused()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "unused");
        Directory.CreateDirectory(scratch["run/checkpoints/iteration-00001"]);
        File.WriteAllText(scratch["run/checkpoints/iteration-00001/state.json"], "{}");
        Assert.Contains("holds a run", Cli.Run("sweep", recipe, "--output", scratch["run"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        using var owned = RunOwnership.TakeSweep(scratch["sweep"]);
        Assert.Contains("a sweep has one owner", Cli.Run("sweep", recipe, "--output", scratch["sweep"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    private static string[] Runs(string sweep) =>
        [.. Directory.EnumerateFiles(sweep, "run.json", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(sweep, Path.GetDirectoryName(file)!).Replace('\\', '/')).Order(StringComparer.Ordinal)];

    private static int Rows(string run) => File.Exists(Path.Combine(run, "metrics.jsonl")) ? File.ReadLines(Path.Combine(run, "metrics.jsonl")).Count() : 0;

    private static int NewestCheckpoint(string run) => Directory.EnumerateDirectories(Path.Combine(run, "checkpoints")).Max(folder => int.Parse(Path.GetFileName(folder)[^5..], CultureInfo.InvariantCulture));
}
