using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Rlgf.Cli.Tests;

/// <summary>The command as a process of its own, to be interrupted and killed.</summary>
public sealed class ProcessTests
{
    private const int Iterations = 16;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    [Fact]
    public void A_run_killed_in_the_middle_and_resumed_ends_with_the_same_weights_bit_for_bit()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Start(Train(scratch, "whole")).Finish().Code);

        using (var killed = Start(Train(scratch, "killed")))
        {
            // After the fifth row of metrics it is in its sixth iteration, or in the checkpoint or the evaluation before it.
            WaitFor(() => Rows(scratch["killed"]) >= 5, killed);
            killed.Kill();
        }

        Assert.InRange(Rows(scratch["killed"]), 5, Iterations - 1);
        var resumed = Start(["train", scratch["killed"], "--resume"]).Finish();
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
        using var run = Start(Train(scratch, "run"));
        WaitFor(() => Rows(scratch["run"]) >= 3, run);
        run.Interrupt();
        var (code, _, error) = run.Finish();
        Assert.True(code == ExitCode.Stopped, error);
        Assert.Contains("stopping after this step; press Ctrl-C again to stop at once", error, StringComparison.Ordinal);
        Assert.Contains($"go on with: rlgf train {scratch["run"]} --resume", error, StringComparison.Ordinal);
        var newest = Directory.EnumerateDirectories(Path.Combine(scratch["run"], "checkpoints")).Order(StringComparer.Ordinal).Last();
        Assert.Equal(Rows(scratch["run"]), int.Parse(newest[^5..], CultureInfo.InvariantCulture));
    }

    private static string[] Train(Scratch scratch, string output) =>
        ["train", TrainTests.Recipe(scratch, output), "--set", $"iterations={Iterations}", "--set", "checkpoints.every=2", "--set", "rows_per_iteration=32"];

    private static int Rows(string run)
    {
        var path = Path.Combine(run, "metrics.jsonl");
        return File.Exists(path) ? File.ReadAllText(path).Count(character => character == '\n') : 0;
    }

    private static byte[] Bytes(string run, string file) => File.ReadAllBytes(Path.Combine(run, "checkpoints", string.Create(CultureInfo.InvariantCulture, $"iteration-{Iterations:00000}"), file));

    private static void WaitFor(Func<bool> condition, RunningProcess process)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.False(process.HasExited, "it ended before it could be stopped");
            Assert.True(clock.Elapsed < Patience, "it did not come so far in time");
            Thread.Sleep(5);
        }
    }

    private static RunningProcess Start(params string[] args) => new(args);

    private sealed class RunningProcess : IDisposable
    {
        private readonly Process _process;
        private readonly StringBuilder _error = new();

        public RunningProcess(string[] args)
        {
            var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Rlgf.Cli.dll"), .. args]) { RedirectStandardError = true, RedirectStandardOutput = true };
            // One thread in every run: the number of threads may change the last bits.
            start.Environment["OMP_NUM_THREADS"] = "1";
            _process = Process.Start(start)!;
            _process.OutputDataReceived += (_, _) => { };
            _process.ErrorDataReceived += (_, line) =>
            {
                lock (_error) _error.AppendLine(line.Data);
            };
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
        }

        public bool HasExited => _process.HasExited;

        public void Kill()
        {
            _process.Kill();
            _process.WaitForExit();
        }

        /// <summary>What Ctrl-C sends; where tests run in the background of a shell, interrupts are ignored, and termination is handled in the same way.</summary>
        public void Interrupt()
        {
            var ignored = File.Exists("/proc/self/status")
                && File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith("SigIgn:", StringComparison.Ordinal)) is { } mask
                && (ulong.Parse(mask[7..].Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) & 2) != 0;
            using var kill = Process.Start("kill", [ignored ? "-TERM" : "-INT", _process.Id.ToString(CultureInfo.InvariantCulture)]);
            kill.WaitForExit();
        }

        public (int Code, string Output, string Error) Finish()
        {
            Assert.True(_process.WaitForExit(Patience), "it did not end in time");
            _process.WaitForExit();
            lock (_error) return (_process.ExitCode, "", _error.ToString());
        }

        public void Dispose()
        {
            if (!_process.HasExited) _process.Kill();
            _process.Dispose();
        }
    }
}
