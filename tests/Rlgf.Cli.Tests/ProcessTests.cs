using System.Globalization;

namespace Rlgf.Cli.Tests;

/// <summary>The command as a process of its own, to be interrupted and killed.</summary>
public sealed class ProcessTests
{
    private const int Iterations = 16;

    [Fact]
    public void A_run_killed_in_the_middle_and_resumed_ends_with_the_same_weights_bit_for_bit()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, RunningProcess.Rlgf(Train(scratch, "whole")).Finish().Code);

        using (var killed = RunningProcess.Rlgf(Train(scratch, "killed")))
        {
            // After the fifth row of metrics it is in its sixth iteration, or in the checkpoint or the evaluation before it.
            killed.WaitFor(() => Rows(scratch["killed"]) >= 5);
            killed.Kill();
        }

        Assert.InRange(Rows(scratch["killed"]), 5, Iterations - 1);
        var resumed = RunningProcess.Rlgf("train", scratch["killed"], "--resume").Finish();
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Equal(TrainTests.Metrics(scratch["whole"]), TrainTests.Metrics(scratch["killed"]));
        foreach (var file in (string[])["policy/model.safetensors", "critics.safetensors", "policy_optimizer.safetensors", "critic_optimizer.safetensors"])
        {
            Assert.True(Bytes(scratch["whole"], file).AsSpan().SequenceEqual(Bytes(scratch["killed"], file)), file);
        }
    }

    [Fact]
    public void Interrupted_it_saves_says_how_to_go_on_and_returns_130()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("sends signals by the kill command");
        using var scratch = new Scratch();
        using var run = RunningProcess.Rlgf(Train(scratch, "run"));
        run.WaitFor(() => Rows(scratch["run"]) >= 3);
        run.Signal(RunningProcess.Interrupt);
        var (code, _, error) = run.Finish();
        Assert.True(code == ExitCode.Stopped, error);
        Assert.Contains("stopping where nothing is lost; press Ctrl-C again to stop at once", error, StringComparison.Ordinal);
        Assert.Contains($"go on with: rlgf train {scratch["run"]} --resume", error, StringComparison.Ordinal);
        var newest = Directory.EnumerateDirectories(Path.Combine(scratch["run"], "checkpoints")).Order(StringComparer.Ordinal).Last();
        Assert.Equal(Rows(scratch["run"]), int.Parse(newest[^5..], CultureInfo.InvariantCulture));
    }

    [Fact]
    public void A_second_process_is_refused_while_the_first_goes_on_and_takes_over_when_that_was_killed()
    {
        using var scratch = new Scratch();
        using var first = RunningProcess.Rlgf(Train(scratch, "run"));
        first.WaitFor(() => Rows(scratch["run"]) >= 3);
        var (code, _, error) = RunningProcess.Rlgf("train", scratch["run"], "--resume").Finish();
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"process {first.Id} on {Environment.MachineName}, since "), Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
        Assert.False(first.HasExited);
        first.Kill();

        var resumed = RunningProcess.Rlgf("train", scratch["run"], "--resume").Finish();
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Equal(Enumerable.Range(0, Iterations), Fixtures.Rows(Path.Combine(scratch["run"], "metrics.jsonl")).Select(row => (int)row["iteration"]!));
    }

    [Fact]
    public void Of_two_that_start_together_in_a_fresh_folder_one_trains_and_the_other_says_who()
    {
        using var scratch = new Scratch();
        var command = Train(scratch, "run");
        using var one = RunningProcess.Rlgf(command);
        using var other = RunningProcess.Rlgf(command);
        var results = new[] { one.Finish(), other.Finish() };
        Assert.Equal([ExitCode.Ok, ExitCode.Failed], results.Select(result => result.Code).Order());
        var refused = results.Single(result => result.Code == ExitCode.Failed).Error;
        Assert.Contains("a run has one owner", Assert.Single(refused.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
        Assert.Equal(Iterations, Rows(scratch["run"]));
    }

    /// <summary>Whether this process was started with SIGHUP, the lowest bit of the mask, ignored.</summary>
    private static bool IgnoresHangUp() => File.Exists("/proc/self/status") &&
        File.ReadLines("/proc/self/status").Any(line => line.StartsWith("SigIgn:", StringComparison.Ordinal) && (Convert.ToUInt64(line[7..].Trim(), 16) & 1) != 0);

    [Fact]
    public void Losing_the_terminal_saves_and_returns_130_even_if_it_is_told_twice()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("sends signals by the kill command");
        if (IgnoresHangUp()) Assert.Skip("the loss of the terminal is ignored here, as under nohup, and stays so in what is started");
        using var scratch = new Scratch();
        using var run = RunningProcess.Rlgf(Train(scratch, "run"));
        run.WaitFor(() => Rows(scratch["run"]) >= 3);
        run.Signal("-HUP");
        run.Signal("-HUP");
        var (code, _, error) = run.Finish();
        Assert.True(code == ExitCode.Stopped, $"{code} {error}");
        var newest = Directory.EnumerateDirectories(Path.Combine(scratch["run"], "checkpoints")).Order(StringComparer.Ordinal).Last();
        Assert.Equal(Rows(scratch["run"]), int.Parse(newest[^5..], CultureInfo.InvariantCulture));
    }

    [Theory]
    [InlineData("2>&-")]
    [InlineData("<&- >&- 2>&-")]
    [InlineData(">/dev/full 2>/dev/full")]
    [InlineData("2>&1 | true")]
    public void A_training_that_nobody_hears_goes_on_to_its_end(string redirection)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("closes streams by a shell");
        using var scratch = new Scratch();
        // The pipe's own code would be that of its last command.
        var command = $"(dotnet \"$@\"; echo $? >{scratch["code"]}) {redirection}";
        using var run = RunningProcess.Of("sh", ["-c", command, "sh", RunningProcess.Program, .. Train(scratch, "run"), "--set", "iterations=4"]);
        run.Finish();
        Assert.Equal("0", File.ReadAllText(scratch["code"]).Trim());
        Assert.Equal(4, Rows(scratch["run"]));
        Assert.True(File.Exists(Path.Combine(scratch["run"], "report.html")));
    }

    [Fact]
    public void A_run_that_moved_with_its_files_goes_on_from_another_current_folder()
    {
        using var scratch = new Scratch();
        var old = Directory.CreateDirectory(scratch["old"]).FullName;
        TrainTests.Recipe(scratch, "run");
        CopyOf(Fixtures.Model("gpt2"), Path.Combine(old, "models", "start"));
        File.Copy(scratch["prompts.jsonl"], Path.Combine(old, "prompts.jsonl"));
        var recipe = File.ReadAllText(scratch["recipe-run.yaml"]).Replace(scratch["prompts.jsonl"], "prompts.jsonl", StringComparison.Ordinal)
            .Replace(Fixtures.Model("gpt2"), "models/start", StringComparison.Ordinal).Replace(scratch["run"], "runs/one", StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(old, "recipe.yaml"), recipe);
        string[] settings = ["--set", $"iterations={Iterations}", "--set", "checkpoints.every=2", "--set", "rows_per_iteration=32", "--set", "model.lora.rank=2"];
        var whole = RunningProcess.Of("dotnet", [RunningProcess.Program, "train", "recipe.yaml", .. settings, "--set", "output=runs/whole"], old).Finish();
        Assert.True(whole.Code == ExitCode.Ok, whole.Error);
        Assert.Contains("tiny: begins anew in runs/whole", whole.Error, StringComparison.Ordinal);

        using (var killed = RunningProcess.Of("dotnet", [RunningProcess.Program, "train", "recipe.yaml", .. settings], old))
        {
            killed.WaitFor(() => Rows(Path.Combine(old, "runs", "one")) >= 5);
            killed.Kill();
        }

        Directory.Move(old, scratch["new"]);
        var elsewhere = Directory.CreateDirectory(scratch["elsewhere"]).FullName;
        var resumed = RunningProcess.Of("dotnet", [RunningProcess.Program, "train", "../new/runs/one", "--resume"], elsewhere).Finish();
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Contains("tiny: resumed at iteration ", resumed.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(elsewhere));
        Assert.False(Directory.Exists(old));
        var runs = Path.Combine(scratch["new"], "runs");
        Assert.Equal(TrainTests.Metrics(Path.Combine(runs, "whole")), TrainTests.Metrics(Path.Combine(runs, "one")));
        Assert.Equal(Bytes(Path.Combine(runs, "whole"), "policy/adapter_model.safetensors"), Bytes(Path.Combine(runs, "one"), "policy/adapter_model.safetensors"));

        // The adapter finds its base from there too.
        var scored = Cli.RunWith("""{"text": "The end"}""", default, "score", "--model", Path.Combine(runs, "one", "checkpoints", FormattableString.Invariant($"iteration-{Iterations:00000}"), "policy"), "--input", "-", "--output", "-");
        Assert.True(scored.Code == ExitCode.Ok, scored.Error);
    }

    [Fact]
    public void The_system_is_told_to_write_a_checkpoint_to_disk_before_the_oldest_goes()
    {
        if (!OperatingSystem.IsLinux() || !File.Exists("/usr/bin/strace")) Assert.Skip("needs strace");
        using var scratch = new Scratch();
        var trace = scratch["trace"];
        using var run = RunningProcess.Of(
            "strace", ["-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o", trace, "dotnet", RunningProcess.Program, .. Train(scratch, "run"), "--set", "iterations=4", "--set", "checkpoints.keep=1"]);
        var (code, _, error) = run.Finish();
        if (code != ExitCode.Ok && error.Contains("ptrace", StringComparison.OrdinalIgnoreCase)) Assert.Skip("strace may not trace here");
        Assert.True(code == ExitCode.Ok, error);
        var calls = File.ReadAllLines(trace);
        var folder = Path.Combine(scratch["run"], "checkpoints");
        int At(string what, string path) => Array.FindIndex(calls, call => call.Contains(what, StringComparison.Ordinal) && call.Contains(path, StringComparison.Ordinal));
        var named = At("rename", $"{folder}/iteration-00004.unfinished\", \"{folder}/iteration-00004\"");
        Assert.True(named > 0, "the checkpoint was not renamed");
        foreach (var file in (string[])["policy/model.safetensors", "policy/tokenizer.json", "policy/config.json", "critics.safetensors", "policy_optimizer.safetensors", "critic_optimizer.safetensors", "state.json"])
        {
            Assert.InRange(At("fsync(", $"{folder}/iteration-00004.unfinished/{file}.tmp>"), 0, named);
        }

        Assert.InRange(At("fsync(", $"{folder}/iteration-00004.unfinished/policy>"), 0, named);
        Assert.InRange(At("fsync(", $"{folder}/iteration-00004.unfinished>"), 0, named);
        var forced = Array.FindIndex(calls, named, call => call.Contains("fsync(", StringComparison.Ordinal) && call.Contains($"{folder}>", StringComparison.Ordinal));
        var gone = At("rename", $"{folder}/iteration-00002\", \"{folder}/iteration-00002.deleted\"");
        Assert.True(forced > named && gone > forced, $"renamed {named}, forced {forced}, the old one gone {gone}");
    }

    private static void CopyOf(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.GetFiles(from)) File.WriteAllBytes(Path.Combine(to, Path.GetFileName(file)), File.ReadAllBytes(file));
    }

    private static string[] Train(Scratch scratch, string output) =>
        ["train", TrainTests.Recipe(scratch, output), "--set", $"iterations={Iterations}", "--set", "checkpoints.every=2", "--set", "rows_per_iteration=32"];

    private static int Rows(string run)
    {
        var path = Path.Combine(run, "metrics.jsonl");
        return File.Exists(path) ? File.ReadAllText(path).Count(character => character == '\n') : 0;
    }

    private static byte[] Bytes(string run, string file) => File.ReadAllBytes(Path.Combine(run, "checkpoints", string.Create(CultureInfo.InvariantCulture, $"iteration-{Iterations:00000}"), file));
}
