using System.Diagnostics;
using System.Globalization;
using static Rlgf.Cli.Tests.MpiRuns;

namespace Rlgf.Cli.Tests;

/// <summary>The command under a real <c>mpirun</c>, two processes on this machine.</summary>
public sealed class MpiTests
{
    private const int Iterations = 8;

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
        Assert.True((double)MetricsOf(scratch, "two")[0]!["communication/bytes"]! > 0);
        Assert.Contains("Megabytes sent to other processes", File.ReadAllText(scratch["two/report.html"]), StringComparison.Ordinal);
        Assert.DoesNotContain("other processes", File.ReadAllText(scratch["one/report.html"]), StringComparison.Ordinal);
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
        RequireSameBits(scratch, "one", "two", Iterations);
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
        foreach (var command in (string[][])[["evaluate", recipe], ["score", "--model", Fixtures.Model("gpt2"), "--input", scratch["prompts.jsonl"], "--output", "-"]])
            Assert.Contains($"'rlgf {command[0]}' runs in one process, and 2 were started together: leave mpirun or srun out", Said(ExitCode.WrongUse, Several(2, command)), StringComparison.Ordinal);
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
        Signals.Send(signal, RankOf(run.Id, rank)!.Value);
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
        int[] ranks = [RankOf(run.Id, 0)!.Value, RankOf(run.Id, 1)!.Value];
        foreach (var rank in ranks) Signals.Send("STOP", rank);
        Thread.Sleep(TimeSpan.FromSeconds(4));
        // What lets them go on is taken for a request to stop, which is how mpirun begins.
        foreach (var rank in ranks) Signals.Send("CONT", rank);
        var (code, _, error) = run.Finish();
        Assert.True(code == ExitCode.Stopped, error);
        Assert.Empty(Errors(error));
        Assert.Contains("go on with: rlgf train", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_second_run_into_the_same_folder_is_refused_once()
    {
        RequireMpi();
        using var scratch = new Scratch();
        using var run = Several(2, Train(scratch, "run", 2000));
        run.WaitFor(() => Rows(scratch["run"]) >= 1);
        Assert.Contains("writes into this folder", Said(ExitCode.Failed, Several(2, "train", scratch["run"], "--resume")), StringComparison.Ordinal);
        run.Signal("-USR1");
        Assert.Equal(ExitCode.Stopped, run.Finish().Code);
    }

    /// <summary>As many kills as RLGF_KILLS says (20 by default) of a random rank of three, at random moments from the start on; each run is killed and goes on until it is done, and then has the bits of one that never was.</summary>
    [Fact(Explicit = true)]
    [Trait("Category", "Long")]
    public void Runs_that_are_killed_at_random_moments_end_with_the_bits_of_one_that_was_not()
    {
        RequireMpi();
        var kills = int.Parse(Environment.GetEnvironmentVariable("RLGF_KILLS") ?? "20", CultureInfo.InvariantCulture);
        var random = new Random(int.Parse(Environment.GetEnvironmentVariable("RLGF_KILLS_SEED") ?? "1", CultureInfo.InvariantCulture));
        using var scratch = new Scratch();
        string[] With(string[] args, bool shares) => [.. args, "--set", $"update.shard_optimizer={(shares ? "true" : "false")}"];
        Assert.Equal(ExitCode.Ok, Several(3, Train(scratch, "one", Iterations)).Finish().Code);
        var (done, runs) = (0, 0);
        for (; done < kills; runs++)
        {
            var name = $"run{runs}";
            // The moments cover the start, the iterations, what is saved between them, and the end.
            for (var ended = false; !ended;)
            {
                using var run = Several(3, With([.. Train(scratch, name, Iterations), "--resume"], shares: runs % 2 == 1));
                var moment = TimeSpan.FromSeconds(random.NextDouble() * (random.Next(2) == 0 ? 3 : 12));
                var clock = Stopwatch.StartNew();
                while (!run.HasExited && (clock.Elapsed < moment || done >= kills)) Thread.Sleep(2);
                var isKilled = !run.HasExited && RankOf(run.Id, random.Next(3)) is { } process && Killed(process);
                var (code, _, error) = run.Finish();
                ended = code == ExitCode.Ok;
                if (isKilled && !ended) done++;
                Assert.True(ended || isKilled, error);
                Assert.DoesNotContain("where nothing is lost", isKilled ? error : "", StringComparison.Ordinal);
            }

            RequireSameBits(scratch, "one", name, Iterations);
            Assert.Equal(Enumerable.Range(0, Iterations), MetricsOf(scratch, name).Select(row => (int)row["iteration"]!));
            Directory.Delete(scratch[name], recursive: true);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{done} kills, {runs} runs");

        static bool Killed(int process)
        {
            Signals.Send("KILL", process);
            return true;
        }
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
            Signals.Send(signal, RankOf(run.Id, 1)!.Value);
            var clock = Stopwatch.StartNew();
            var (code, _, error) = run.Finish();
            Assert.NotEqual(ExitCode.Ok, code);
            // Twice the time, for machines that do other work.
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), error);
            if (signal == "STOP") Assert.Contains($"rank 1 on {Environment.MachineName} has given no sign of life for 10 seconds: it is suspended", Assert.Single(Errors(error)), StringComparison.Ordinal);
        }

        var onward = Several(2, "train", scratch["two"], "--resume").Finish();
        Assert.True(onward.Code == ExitCode.Ok, onward.Error);
        RequireSameBits(scratch, "one", "two", Iterations);
    }

    private static void RequireSame(Scratch scratch, string one, string other)
    {
        var (expected, actual) = (MetricsOf(scratch, one), MetricsOf(scratch, other));
        Assert.Equal(expected.Length, actual.Length);
        foreach (var (a, b) in expected.Zip(actual))
            foreach (var (key, value) in a.Where(pair => !pair.Key.StartsWith("seconds/", StringComparison.Ordinal) && pair.Value?.GetValueKind() == System.Text.Json.JsonValueKind.Number))
                Assert.True(Math.Abs((double)value! - (double)b[key]!) <= 1e-5 + (1e-4 * Math.Abs((double)value!)), $"{key}: {value} and {b[key]}");
    }
}
