using System.Diagnostics;
using System.Globalization;

namespace Rlgf.Cli.Tests;

/// <summary>
/// What docs/reliability.md counts: the same as other tests hold once, tried again and again at random moments. Too long for every day:
/// <c>dotnet test -c Release tests/Rlgf.Cli.Tests --filter ReliabilityTests -- xUnit.Explicit=only</c>.
/// </summary>
public sealed class ReliabilityTests(ITestOutputHelper output)
{
    private const int Iterations = 12;

    private static readonly string[] Weights = ["policy/model.safetensors", "critics.safetensors", "policy_optimizer.safetensors", "critic_optimizer.safetensors"];

    [Fact(Explicit = true)]
    [Trait("Category", "Long")]
    public void Runs_killed_at_random_moments_again_and_again_end_as_if_they_never_were()
    {
        const int rounds = 12, killsOfRound = 4;
        using var scratch = new Scratch();
        var (whole, time) = Whole(scratch, []);
        var random = new Random(1);
        var (kills, late) = (0, 0);
        for (var round = 0; round < rounds; round++)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"killed{round}");
            for (var kill = 0; kill < killsOfRound; kill++)
            {
                using var run = RunningProcess.Rlgf([.. Train(scratch, name), "--resume"]);
                Thread.Sleep(time * random.NextDouble());
                if (run.HasExited) late++;
                else kills++;
                run.Kill();
            }

            EndsAs(whole, scratch[name], Train(scratch, name));
            Directory.Delete(scratch[name], recursive: true);
        }

        output.WriteLine($"killed: {kills} times in {rounds} runs ({late} had ended before); all ended bit for bit as the run that was never killed");
    }

    [Fact(Explicit = true)]
    [Trait("Category", "Long")]
    public void Supervised_trainings_killed_at_random_moments_end_as_if_they_never_were()
    {
        const int rounds = 8, killsOfRound = 3;
        using var scratch = new Scratch();
        string[] Sft(string name) => ["sft", SupervisedTests.Sft(scratch), "--set", "training.checkpoint_every=3", "--set", "training.evaluate_every=4", "--set", $"output={scratch[name]}", "--set", "training.epochs=40"];
        var clock = Stopwatch.StartNew();
        var (code, _, error) = RunningProcess.Rlgf(Sft("whole")).Finish();
        Assert.True(code == ExitCode.Ok, error);
        var time = clock.Elapsed;
        var random = new Random(2);
        var (kills, anew) = (0, 0);
        for (var round = 0; round < rounds; round++)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"killed{round}");
            bool HasEnded() => File.Exists(Path.Combine(scratch[name], "result.json"));
            for (var kill = 0; kill < killsOfRound && !HasEnded(); kill++)
            {
                // Where there is no checkpoint yet, one begins anew.
                if (!Directory.Exists(Path.Combine(scratch[name], "checkpoints"))) anew++;
                using var run = RunningProcess.Rlgf([.. Sft(name), "--resume"]);
                Thread.Sleep(time * random.NextDouble());
                if (!run.HasExited) kills++;
                run.Kill();
            }

            if (!HasEnded())
            {
                var ended = RunningProcess.Rlgf([.. Sft(name), "--resume"]).Finish();
                Assert.True(ended.Code == ExitCode.Ok, ended.Error);
            }

            Assert.Equal(File.ReadAllBytes(scratch["whole/model.safetensors"]), File.ReadAllBytes(Path.Combine(scratch[name], "model.safetensors")));
            Assert.Equal(SupervisedTests.Log(scratch["whole"]), SupervisedTests.Log(scratch[name]));
        }

        output.WriteLine($"supervised, killed: {kills} times in {rounds} trainings ({anew} starts had no checkpoint yet); model and log equal those of the one that was never killed");
    }

    [Fact(Explicit = true)]
    [Trait("Category", "Long")]
    public void Stops_by_signals_at_random_moments_lose_nothing()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("sends signals by the kill command");
        const int rounds = 8, signalsOfRound = 3;
        using var scratch = new Scratch();
        var (whole, time) = Whole(scratch, []);
        var random = new Random(3);
        var stops = 0;
        for (var round = 0; round < rounds; round++)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"stopped{round}");
            for (var signal = 0; signal < signalsOfRound; signal++)
            {
                using var run = RunningProcess.Rlgf([.. Train(scratch, name), "--resume"]);
                // Before the program handles signals they end it at once, as they end any program.
                run.WaitFor(() => File.Exists(Path.Combine(scratch[name], ".owner")) || run.HasExited);
                Thread.Sleep(time * random.NextDouble());
                if (run.HasExited) continue;
                run.Signal(random.Next(2) == 0 ? "-HUP" : "-TERM");
                var (code, _, error) = run.Finish();
                Assert.True(code is ExitCode.Stopped or ExitCode.Ok, $"{code} {error}");
                if (code == ExitCode.Stopped) stops++;
            }

            EndsAs(whole, scratch[name], Train(scratch, name));
        }

        output.WriteLine($"stopped by SIGHUP or SIGTERM: {stops} times in {rounds} runs; all returned 130 and ended bit for bit as the run that was never stopped");
    }

    [Fact(Explicit = true)]
    [Trait("Category", "Long")]
    public void Disks_that_fill_up_lose_nothing_that_was_written()
    {
        using var scratch = new Scratch();
        var disk = Directory.CreateDirectory(scratch["disk"]).FullName;
        if (!OperatingSystem.IsLinux() || Execute("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk) != 0) Assert.Skip("needs the right to mount a small disk");
        var full = 0;
        try
        {
            var (whole, _) = Whole(scratch, []);
            for (var kilobytes = 100; kilobytes <= 2000; kilobytes += 100)
            {
                Execute("mount", "-o", string.Create(CultureInfo.InvariantCulture, $"remount,size={kilobytes}k"), disk);
                var (code, _, error) = RunningProcess.Rlgf(Train(scratch, "disk/run")).Finish();
                if (code != ExitCode.Ok)
                {
                    full++;
                    Assert.Equal(ExitCode.Failed, code);
                    Assert.Contains(error.Split('\n'), line => line.StartsWith("error: ", StringComparison.Ordinal) && line.Contains("space", StringComparison.OrdinalIgnoreCase));
                }

                Execute("mount", "-o", "remount,size=64m", disk);
                EndsAs(whole, scratch["disk/run"], Train(scratch, "disk/run"));
                Directory.Delete(scratch["disk/run"], recursive: true);
            }
        }
        finally
        {
            Execute("umount", disk);
        }

        output.WriteLine($"full disks: {full} of 20 sizes were too small; all said so in one line and ended, with more room, bit for bit as the run that had it");
    }

    [Fact(Explicit = true)]
    [Trait("Category", "Long")]
    public void Of_two_that_start_together_one_trains()
    {
        const int rounds = 12;
        using var scratch = new Scratch();
        var random = new Random(4);
        for (var round = 0; round < rounds; round++)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"run{round}");
            string[] command = [.. Train(scratch, name), "--set", "iterations=4"];
            using var one = RunningProcess.Rlgf(command);
            Thread.Sleep(random.Next(50));
            using var other = RunningProcess.Rlgf(command);
            var results = new[] { one.Finish(), other.Finish() };
            Assert.Equal([ExitCode.Ok, ExitCode.Failed], results.Select(result => result.Code).Order());
            Assert.Contains("a run has one owner", Assert.Single(results.Single(result => result.Code == ExitCode.Failed).Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
            Assert.Equal(Enumerable.Range(0, 4), Fixtures.Rows(Path.Combine(scratch[name], "metrics.jsonl")).Select(row => (int)row["iteration"]!));
        }

        output.WriteLine($"two owners: {rounds} pairs within 50 ms on a fresh folder; one trained, the other ended with one line");
    }

    [Fact(Explicit = true)]
    [Trait("Category", "Long")]
    public void Bits_that_flip_anywhere_in_a_checkpoint_are_noticed()
    {
        const int flipsOfFile = 12;
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "run"), "--set", "checkpoints.every=1").Code);
        var newest = scratch["run/checkpoints/iteration-00003"];
        var files = Directory.GetFiles(newest, "*", SearchOption.AllDirectories);
        var random = new Random(5);
        foreach (var file in files)
        {
            var right = File.ReadAllBytes(file);
            for (var flip = 0; flip < flipsOfFile; flip++)
            {
                var wrong = right.ToArray();
                int at;
                do at = random.Next(right.Length);
                while (char.IsWhiteSpace((char)right[at]) && file.EndsWith("state.json", StringComparison.Ordinal));
                wrong[at] ^= (byte)(1 << random.Next(8));
                File.WriteAllBytes(file, wrong);
                var line = Cli.Run("train", scratch["run"], "--resume").OneErrorLine(ExitCode.Failed);
                Assert.Contains($"{newest}: the checkpoint is damaged", line, StringComparison.Ordinal);
                Assert.Contains("the newest whole one is iteration-00002", line, StringComparison.Ordinal);
            }

            File.WriteAllBytes(file, right);
        }

        Assert.Equal(ExitCode.Ok, Cli.Run("train", scratch["run"], "--resume").Code);
        output.WriteLine($"flipped bits: {flipsOfFile} in each of {files.Length} files; all noticed, and the checkpoint before offered");
    }

    private static string[] Train(Scratch scratch, string name) =>
        ["train", TrainTests.Recipe(scratch, name), "--set", $"iterations={Iterations}", "--set", "checkpoints.every=2", "--set", "rows_per_iteration=32"];

    private static (string Folder, TimeSpan Time) Whole(Scratch scratch, string[] settings)
    {
        var clock = Stopwatch.StartNew();
        var (code, _, error) = RunningProcess.Rlgf([.. Train(scratch, "whole"), .. settings]).Finish();
        Assert.True(code == ExitCode.Ok, error);
        return (scratch["whole"], clock.Elapsed);
    }

    private static void EndsAs(string whole, string folder, string[] command)
    {
        var (code, _, error) = RunningProcess.Rlgf([.. command, "--resume"]).Finish();
        Assert.True(code == ExitCode.Ok, error);
        Assert.DoesNotContain("warning: ", error, StringComparison.Ordinal);
        Assert.Equal(TrainTests.Metrics(whole), TrainTests.Metrics(folder));
        string Evaluations(string run) => string.Concat(Directory.GetFiles(Path.Combine(run, "evaluations")).Order(StringComparer.Ordinal).Select(file => Path.GetFileName(file) + File.ReadAllText(file)));
        Assert.Equal(Evaluations(whole), Evaluations(folder));
        var last = string.Create(CultureInfo.InvariantCulture, $"checkpoints/iteration-{Iterations:00000}");
        foreach (var file in Weights) Assert.True(File.ReadAllBytes(Path.Combine(whole, last, file)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(folder, last, file))), file);
        Assert.Equal(2, Directory.GetDirectories(Path.Combine(folder, "checkpoints")).Length);
        Assert.Empty(Directory.GetFiles(folder, "*.tmp", SearchOption.AllDirectories));
    }

    private static int Execute(string program, params string[] args)
    {
        using var process = Process.Start(new ProcessStartInfo(program, args) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode;
    }
}
