using System.Globalization;
using System.Text;

namespace Rlgf.Cli.Tests;

/// <summary>What a run's folder promises: one owner, checkpoints that are whole or named, logs that agree with them, and that it may be moved.</summary>
[Collection(ExactNumbersCollection.Name)]
public sealed class RunFolderTests
{
    [Fact]
    public void Every_start_says_whether_it_begins_anew_or_goes_on_and_a_moved_folder_goes_on_where_it_is()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "whole")).Code);
        var stopped = Stopped(scratch, "stopped");
        Assert.Contains($"tiny: begins anew in {scratch["stopped"]}", stopped.ErrorLines);

        Directory.CreateDirectory(scratch["another"]);
        Directory.Move(scratch["stopped"], scratch["another/place"]);
        var resumed = Cli.Run("train", scratch["another/place"], "--resume");
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Contains($"tiny: resumed at iteration 1 of 3 in {scratch["another/place"]}", resumed.ErrorLines);
        Assert.False(Directory.Exists(scratch["stopped"]));
        Assert.Equal(TrainTests.Metrics(scratch["whole"]), TrainTests.Metrics(scratch["another/place"]));

        // The recipe's file in the folder is the run too.
        var ended = Cli.Run("train", scratch["another/place/recipe.yaml"], "--resume");
        Assert.Contains($"tiny: resumed at iteration 3 of 3 in {scratch["another/place"]}", ended.ErrorLines);
        var changed = Cli.Run("train", scratch["another/place"], "--resume", "--set", "update.epochs=3").OneErrorLine(ExitCode.Failed);
        Assert.Contains("'update.epochs: 1' and would go on with 'update.epochs: 3'", changed, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("policy/model.safetensors")]
    [InlineData("policy/tokenizer.json")]
    [InlineData("critics.safetensors")]
    [InlineData("policy_optimizer.safetensors")]
    [InlineData("critic_optimizer.safetensors")]
    [InlineData("state.json")]
    public void A_damaged_checkpoint_is_named_and_without_it_the_run_goes_on_from_the_one_before(string file)
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "run"), "--set", "checkpoints.every=1").Code);
        var metrics = TrainTests.Metrics(scratch["run"]);
        var newest = scratch["run/checkpoints/iteration-00003"];
        var path = Path.Combine(newest, file);
        var bytes = File.ReadAllBytes(path);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(path, bytes);

        var line = Cli.Run("train", scratch["run"], "--resume").OneErrorLine(ExitCode.Failed);
        Assert.Contains($"{newest}: the checkpoint is damaged: {file} ", line, StringComparison.Ordinal);
        Assert.Contains("the newest whole one is iteration-00002", line, StringComparison.Ordinal);
        Assert.Equal(metrics, TrainTests.Metrics(scratch["run"]));

        Directory.Delete(newest, recursive: true);
        Directory.CreateDirectory(scratch["run/checkpoints/iteration-00099"]);
        var resumed = Cli.Run("train", scratch["run"], "--resume");
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Contains("resumed at iteration 2 of 3", resumed.Error, StringComparison.Ordinal);
        Assert.Equal(metrics, TrainTests.Metrics(scratch["run"]));
    }

    [Fact]
    public void An_iteration_number_that_was_changed_by_hand_does_not_end_the_run()
    {
        using var scratch = new Scratch();
        Stopped(scratch, "run");
        var state = scratch["run/checkpoints/iteration-00001/state.json"];
        File.WriteAllText(state, File.ReadAllText(state).Replace("\"iteration\": 1", "\"iteration\": 99", StringComparison.Ordinal));
        Assert.Contains("state.json is not what was written", Cli.Run("train", scratch["run"], "--resume").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void A_guide_s_evaluation_that_was_cut_between_its_two_files_is_made_again()
    {
        using var scratch = new Scratch();
        Stopped(scratch, "run");
        var means = scratch["run/evaluation.jsonl"];
        var rows = File.ReadAllText(scratch["run/evaluations/guide.jsonl"]);
        File.WriteAllLines(means, File.ReadAllLines(means).Where(line => !line.Contains("\"guide\"", StringComparison.Ordinal)));
        Assert.Equal(ExitCode.Ok, Cli.Run("train", scratch["run"], "--resume").Code);
        Assert.Single(File.ReadLines(means), line => line.Contains("\"writer\":\"guide\"", StringComparison.Ordinal));
        Assert.Equal(rows, File.ReadAllText(scratch["run/evaluations/guide.jsonl"]));
        Assert.Contains("guide", Cli.Run("compare", scratch["run"]).Output, StringComparison.Ordinal);
    }

    [Fact]
    public void An_iteration_whose_log_could_not_be_written_is_done_again()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "whole")).Code);
        var log = scratch["run/metrics.jsonl"];
        var failed = RunAnd(
            "after 0 iterations", () => Directory.CreateDirectory(log), "train", TrainTests.Recipe(scratch, "run"), "--set", "evaluation.every=1");
        Assert.Equal(ExitCode.Failed, failed.Code);
        Directory.Delete(log);
        var resumed = Cli.Run("train", scratch["run"], "--resume");
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Equal(TrainTests.Metrics(scratch["whole"]), TrainTests.Metrics(scratch["run"]));
    }

    [Theory]
    [InlineData("metrics.jsonl", "metrics.jsonl has no row of iteration 0")]
    [InlineData("evaluation.jsonl", "lacks the evaluation after iteration 0")]
    [InlineData("evaluations/iteration-00000.jsonl", "lacks the evaluation after iteration 0")]
    public void A_log_that_is_gone_is_named(string file, string said)
    {
        using var scratch = new Scratch();
        Stopped(scratch, "run");
        File.Delete(Path.Combine(scratch["run"], file));
        var resumed = Cli.Run("train", scratch["run"], "--resume");
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Contains(resumed.ErrorLines, line => line.StartsWith("warning: ", StringComparison.Ordinal) && line.Contains(said, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("metrics.jsonl", "metrics.jsonl has no row of steps 1 to 3")]
    [InlineData("evaluation.jsonl", "evaluation.jsonl lacks what was measured after steps 0 and 10 and 20 and 30")]
    public void A_log_of_a_supervised_training_that_is_gone_is_named(string file, string said)
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Stopped, RunAnd("after 30 steps", stop: true, null, ["sft", SupervisedTests.Sft(scratch), "--set", "training.evaluate_every=10"]).Code);
        File.Delete(Path.Combine(scratch["model"], file));
        var resumed = Cli.Run("sft", scratch["model"], "--resume");
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Contains(resumed.ErrorLines, line => line.StartsWith("warning: ", StringComparison.Ordinal) && line.Contains(said, StringComparison.Ordinal));
    }

    [Fact]
    public void A_run_without_any_log_is_still_no_empty_folder()
    {
        using var scratch = new Scratch();
        Stopped(scratch, "run");
        File.Delete(scratch["run/metrics.jsonl"]);
        File.Delete(scratch["run/evaluation.jsonl"]);
        Assert.Contains("holds a run already", Cli.Run("train", TrainTests.Recipe(scratch, "run"), "--set", "evaluation.every=1").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("resumed at iteration 1 of 3", Cli.Run("train", scratch["run"], "--resume").Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_supervised_training_is_resumed_where_it_was_moved_to_and_its_log_has_every_row_once()
    {
        using var scratch = new Scratch();
        string[] settings = ["--set", "training.checkpoint_every=10", "--set", "training.evaluate_every=10"];
        var whole = Cli.Run(["sft", SupervisedTests.Sft(scratch), .. settings]);
        Assert.True(whole.Code == ExitCode.Ok, whole.Error);
        Assert.Contains($"tiny: begins anew in {scratch["model"]}", whole.ErrorLines);
        var stopped = RunAnd("after 30 steps", stop: true, null, ["sft", SupervisedTests.Sft(scratch), .. settings, "--set", $"output={scratch["stopped"]}"]);
        Assert.True(stopped.Code == ExitCode.Stopped, stopped.Error);
        Assert.Matches(@"^stopped after 3\d of \d+ steps, which are saved; go on with: rlgf sft \S+ --resume$", stopped.ErrorLines[^1]);
        // As a killed process leaves it: a row from beyond the checkpoint, and a cut one.
        foreach (var file in (string[])["metrics.jsonl", "evaluation.jsonl"])
            File.AppendAllText(scratch["stopped/" + file], """{"step": 70, "loss": 1}""" + "\n{\"step\":");
        Directory.Move(scratch["stopped"], scratch["moved"]);
        // Refused without --resume, and nothing is lost by it.
        Cli.Run("sft", scratch["moved"]).OneErrorLine(ExitCode.Failed);
        var resumed = Cli.Run("sft", scratch["moved"], "--resume");
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Contains(resumed.ErrorLines, line => line.StartsWith("tiny: resumed at step 3", StringComparison.Ordinal));
        Assert.Equal(SupervisedTests.Log(scratch["model"]), SupervisedTests.Log(scratch["moved"]));
        Assert.Equal(File.ReadAllBytes(scratch["model/model.safetensors"]), File.ReadAllBytes(scratch["moved/model.safetensors"]));
        Assert.False(Directory.Exists(scratch["stopped"]));
    }

    [Fact]
    public void A_folder_that_another_owns_is_refused_by_every_training()
    {
        using var scratch = new Scratch();
        using var owner = Rlgf.Runs.RunOwnership.Take(scratch["model"]);
        var who = string.Create(CultureInfo.InvariantCulture, $"process {Environment.ProcessId} on {Environment.MachineName}, since ");
        Assert.Contains(who, Cli.Run("sft", SupervisedTests.Sft(scratch)).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains(who, Cli.Run("train", TrainTests.Recipe(scratch, "model")).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        owner.Dispose();
        Assert.Equal(ExitCode.Ok, Cli.Run("sft", SupervisedTests.Sft(scratch)).Code);
    }

    /// <summary>A run of three iterations that was stopped after the first, and evaluated before and after it.</summary>
    internal static CliResult Stopped(Scratch scratch, string name, params string[] settings)
    {
        var stopped = RunAnd("after 1 iterations", stop: true, null, ["train", TrainTests.Recipe(scratch, name), "--set", "evaluation.every=1", .. settings]);
        Assert.True(stopped.Code == ExitCode.Stopped, stopped.Error);
        return stopped;
    }

    private static CliResult RunAnd(string text, Action action, params string[] args) => RunAnd(text, stop: false, action, args);

    /// <summary>Does something when a text appears on standard error.</summary>
    internal static CliResult RunAnd(string text, bool stop, Action? action, params string[] args)
    {
        using var cancellation = new CancellationTokenSource();
        using var error = new WatchedWriter(text, () =>
        {
            action?.Invoke();
            if (stop) cancellation.Cancel();
        });
        using var output = new StringWriter();
        using var input = new StringReader("");
        var code = CommandLine.Run(args, new Terminal(input, output, error) { Stop = cancellation.Token });
        return new CliResult(code, output.ToString(), error.ToString());
    }

    private sealed class WatchedWriter(string text, Action action) : StringWriter(CultureInfo.InvariantCulture)
    {
        public override Encoding Encoding => Encoding.UTF8;

        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            if (value?.Contains(text, StringComparison.Ordinal) == true) action();
        }
    }
}
