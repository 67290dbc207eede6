using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary>The command under a real <c>mpirun</c>, two processes on this machine.</summary>
public sealed class MpiTests
{
    private const int Iterations = 8;

    private static readonly string? Mpirun = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(folder => Path.Combine(folder, "mpirun")).FirstOrDefault(File.Exists);

    [Fact]
    public void Two_processes_compute_what_one_does_and_the_run_goes_on_with_one()
    {
        RequireMpi();
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, RunningProcess.Rlgf(Train(scratch, "one", 4)).Finish().Code);
        var (code, output, error) = Several(2, Train(scratch, "two", 2)).Finish();
        Assert.True(code == ExitCode.Ok, error);
        Assert.Contains("2 processes on ", error, StringComparison.Ordinal);
        // mpirun gives its processes a terminal where it has none itself; nothing of that stands in a log.
        Assert.DoesNotContain('\e', output + error);
        // One folder, one progress.
        Assert.Single(error.Split('\n'), line => line.Contains("begins anew", StringComparison.Ordinal));
        var onward = RunningProcess.Rlgf("train", scratch["two"], "--resume", "--set", "iterations=4").Finish();
        Assert.True(onward.Code == ExitCode.Ok, onward.Error);
        Assert.Contains("ranks was 2 and is 1: from here on the numbers are the same but for rounding", onward.Error, StringComparison.Ordinal);
        RequireSame(scratch, "one", "two");
        Assert.True((double)Metrics(scratch, "two")[0]!["communication/bytes"]! > 0);
    }

    [Fact]
    public void Stopped_by_a_signal_to_mpirun_it_saves_and_goes_on()
    {
        RequireMpi();
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Several(2, Train(scratch, "one", Iterations)).Finish().Code);
        using (var run = Several(2, Train(scratch, "two", Iterations)))
        {
            run.WaitFor(() => Rows(scratch["two"]) >= 2);
            run.Signal("-USR1");
            var (code, _, error) = run.Finish();
            Assert.True(code == ExitCode.Stopped, error);
            Assert.Single(error.Split('\n'), line => line.Contains("go on with: rlgf train", StringComparison.Ordinal));
        }

        var onward = Several(2, "train", scratch["two"], "--resume").Finish();
        Assert.True(onward.Code == ExitCode.Ok, onward.Error);
        RequireSameBits(scratch, "one", "two");
    }

    [Fact]
    public void What_fails_on_one_rank_ends_all_with_one_line_that_names_it()
    {
        RequireMpi();
        using var scratch = new Scratch();
        // On rank 1 alone the program that scores ends without an answer, once there are rows of metrics. It is given no environment of its parent's.
        var program = scratch.Write(
            "score.sh", "read -r row", $"if [ -s {scratch["run"]}/metrics.jsonl ] && tr '\\0' '\\n' < /proc/$PPID/environ | grep -qx OMPI_COMM_WORLD_RANK=1; then exit 3; fi", "echo '{\"score\": 0}'");
        var recipe = TrainTests.Recipe(scratch, "run");
        File.WriteAllText(recipe, File.ReadAllText(recipe).Replace("  kind: regex\n  pattern: e\n", $"  kind: program\n  program: sh\n  arguments: [{program}]\n", StringComparison.Ordinal));
        var (code, _, error) = Several(2, "train", recipe).Finish();
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains($"error: rank 1 on {Environment.MachineName}: ", Assert.Single(Errors(error)), StringComparison.Ordinal);
    }

    [Fact]
    public void Wrong_input_is_said_once_and_ranks_that_differ_are_refused()
    {
        RequireMpi();
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        Assert.Contains("unknown key 'iterationz'", Said(ExitCode.Failed, Several(3, "train", recipe, "--set", "iterationz=3")), StringComparison.Ordinal);
        Assert.Contains("9 processes were started, and an iteration has 8 prompts", Said(ExitCode.Failed, Several(9, "train", recipe)), StringComparison.Ordinal);
        Assert.Contains("'rlgf inspect' runs in one process, and 2 were started together", Said(ExitCode.WrongUse, Several(2, "inspect", Fixtures.Model("gpt2"))), StringComparison.Ordinal);
        var differ = Started(["-n", "1", "dotnet", RunningProcess.Program, "train", recipe, ":", "-n", "1", "dotnet", RunningProcess.Program, "train", recipe, "--set", "seed=9"]);
        Assert.Contains("rank 1 on ", Said(ExitCode.Failed, differ), StringComparison.Ordinal);
        Assert.False(Directory.Exists(scratch["run"]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_rank_that_never_comes_ends_the_run_with_one_line(int first)
    {
        RequireMpi();
        using var scratch = new Scratch();
        string[][] programs = [["dotnet", RunningProcess.Program, "train", TrainTests.Recipe(scratch, "run")], ["sleep", "600"]];
        var said = Said(ExitCode.Failed, Started(["-x", "RLGF_START_TIMEOUT=3", "-n", "1", .. programs[first], ":", "-x", "RLGF_START_TIMEOUT=3", "-n", "1", .. programs[1 - first]]));
        Assert.Contains("error: 2 processes were started, and not all of them have come after 3 seconds", said, StringComparison.Ordinal);
        Assert.Contains($"this is rank {first} on {Environment.MachineName}", said, StringComparison.Ordinal);
        Assert.Contains("RLGF_START_TIMEOUT", said, StringComparison.Ordinal);
        Assert.False(Directory.Exists(scratch["run"]));
    }

    [Theory]
    [InlineData("KILL", 0, "has ended without a word")]
    [InlineData("KILL", 1, "has ended without a word")]
    [InlineData("STOP", 0, "has given no sign of life for ")]
    [InlineData("STOP", 1, "has given no sign of life for ")]
    public void A_rank_that_is_killed_or_suspended_is_named_in_one_line_and_nothing_is_said_of_saving(string signal, int rank, string said)
    {
        RequireMpi();
        using var scratch = new Scratch();
        using var run = Started(["-x", "RLGF_RANK_TIMEOUT=2", "-n", "2", "dotnet", RunningProcess.Program, .. Train(scratch, "run", 2000)]);
        run.WaitFor(() => Rows(scratch["run"]) >= 1);
        Signals.Send(signal, RankOf(run.Id, rank));
        var (code, _, error) = run.Finish();
        Assert.NotEqual(ExitCode.Ok, code);
        // Of a rank that is killed mpirun may end the others before they have seen it; its own line is there then.
        var lines = Errors(error);
        if (signal == "STOP" || lines.Length > 0) Assert.Contains($"rank {rank} on {Environment.MachineName} {said}", Assert.Single(lines), StringComparison.Ordinal);
        else Assert.Contains("exited on signal 9", error, StringComparison.Ordinal);
        if (signal == "STOP") Assert.Contains("it is suspended; the run ends, and --resume goes on. On busy machines set RLGF_RANK_TIMEOUT", error, StringComparison.Ordinal);
        Assert.DoesNotContain("where nothing is lost", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Ranks_that_were_all_suspended_for_longer_than_one_may_be_silent_are_not_taken_for_lost()
    {
        RequireMpi();
        using var scratch = new Scratch();
        using var run = Started(["-x", "RLGF_RANK_TIMEOUT=2", "-n", "2", "dotnet", RunningProcess.Program, .. Train(scratch, "run", 2000)]);
        run.WaitFor(() => Rows(scratch["run"]) >= 1);
        int[] ranks = [RankOf(run.Id, 0), RankOf(run.Id, 1)];
        foreach (var rank in ranks) Signals.Send("STOP", rank);
        Thread.Sleep(TimeSpan.FromSeconds(4));
        // What lets them go on is taken for a request to stop, which is how mpirun begins.
        foreach (var rank in ranks) Signals.Send("CONT", rank);
        var (code, _, error) = run.Finish();
        Assert.True(code == ExitCode.Stopped, error);
        Assert.Empty(Errors(error));
        Assert.Contains("go on with: rlgf train", error, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    [Trait("Category", "Long")]
    public void A_rank_that_hangs_or_is_killed_ends_the_run_within_15_seconds_and_the_next_goes_on()
    {
        RequireMpi();
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Several(2, Train(scratch, "one", Iterations)).Finish().Code);
        foreach (var (signal, resume) in new[] { ("STOP", false), ("KILL", true) })
        {
            using var run = resume ? Several(2, "train", scratch["two"], "--resume") : Several(2, Train(scratch, "two", Iterations));
            var before = Rows(scratch["two"]);
            run.WaitFor(() => Rows(scratch["two"]) >= before + 2);
            Signals.Send(signal, RankOf(run.Id, 1));
            var clock = Stopwatch.StartNew();
            var (code, _, error) = run.Finish();
            Assert.NotEqual(ExitCode.Ok, code);
            // Twice the time, for machines that do other work.
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), error);
            if (signal == "STOP") Assert.Contains($"rank 1 on {Environment.MachineName} has given no sign of life for 10 seconds: it is suspended", Assert.Single(Errors(error)), StringComparison.Ordinal);
        }

        var onward = Several(2, "train", scratch["two"], "--resume").Finish();
        Assert.True(onward.Code == ExitCode.Ok, onward.Error);
        RequireSameBits(scratch, "one", "two");
    }

    private static void RequireMpi()
    {
        if (Mpirun is null || !OperatingSystem.IsLinux()) Assert.Skip("mpirun is not installed (Debian: openmpi-bin)");
    }

    private static string[] Train(Scratch scratch, string output, int iterations) =>
    [
        "train", TrainTests.Recipe(scratch, output), "--set", string.Create(CultureInfo.InvariantCulture, $"iterations={iterations}"), "--set", "checkpoints.every=1", "--set", "update.adam_epsilon=0.01",
    ];

    private static RunningProcess Several(int processes, params string[] args) => Started(["-n", processes.ToString(CultureInfo.InvariantCulture), "dotnet", RunningProcess.Program, .. args]);

    private static RunningProcess Started(string[] args) => RunningProcess.Of(
        "env", ["OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", Mpirun!, "--oversubscribe", "--bind-to", "none", .. args]);

    private static string Said(int code, RunningProcess run)
    {
        using (run)
        {
            var (actual, _, error) = run.Finish();
            Assert.True(code == actual, error);
            return Assert.Single(Errors(error));
        }
    }

    private static string[] Errors(string error) => [.. error.Split('\n').Where(line => line.Contains("error: ", StringComparison.Ordinal))];

    /// <summary>The process of a rank, which mpirun started.</summary>
    private static int RankOf(int mpirun, int rank)
    {
        string[] children = File.ReadAllText($"/proc/{mpirun}/task/{mpirun}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return int.Parse(children.Single(child => File.ReadAllText($"/proc/{child}/environ").Split('\0').Contains($"OMPI_COMM_WORLD_RANK={rank}")), CultureInfo.InvariantCulture);
    }

    private static int Rows(string run) => File.Exists(Path.Combine(run, "metrics.jsonl")) ? File.ReadLines(Path.Combine(run, "metrics.jsonl")).Count() : 0;

    private static JsonObject[] Metrics(Scratch scratch, string run) => [.. Fixtures.Rows(Path.Combine(scratch[run], "metrics.jsonl")).Select(row => row.AsObject())];

    private static void RequireSameBits(Scratch scratch, string one, string other)
    {
        foreach (var file in (string[])["policy/model.safetensors", "critics.safetensors", "policy_optimizer.safetensors", "critic_optimizer.safetensors"])
        {
            byte[] Of(string run) => File.ReadAllBytes(Path.Combine(scratch[run], "checkpoints", $"iteration-{Iterations:00000}", file));
            Assert.True(Of(one).AsSpan().SequenceEqual(Of(other)), file);
        }
    }

    private static void RequireSame(Scratch scratch, string one, string other)
    {
        var (expected, actual) = (Metrics(scratch, one), Metrics(scratch, other));
        Assert.Equal(expected.Length, actual.Length);
        foreach (var (a, b) in expected.Zip(actual))
            foreach (var (key, value) in a.Where(pair => !pair.Key.StartsWith("seconds/", StringComparison.Ordinal) && pair.Value?.GetValueKind() == System.Text.Json.JsonValueKind.Number))
                Assert.True(Math.Abs((double)value! - (double)b[key]!) <= 1e-5 + (1e-4 * Math.Abs((double)value!)), $"{key}: {value} and {b[key]}");
    }
}
