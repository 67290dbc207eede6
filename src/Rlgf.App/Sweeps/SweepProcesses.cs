using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Rlgf.App.Terminals;
using Rlgf.Runs;

namespace Rlgf.App.Sweeps;

/// <summary>
/// Runs of a sweep as processes of this program, some at a time. Each stops by itself, and saves what it has, when this process stops or is gone: see <see cref="Interrupt.InputVariable"/>.
/// </summary>
/// <param name="terminal">Told how far it is and what fails.</param>
/// <param name="processes">How many run at a time.</param>
/// <param name="threads">Threads of an operation in each; null for what the library chooses.</param>
internal sealed class SweepProcesses(Terminal terminal, int processes, int? threads) : IDisposable
{
    private const string ThreadsVariable = "OMP_NUM_THREADS", ErrorPrefix = "error: ";

    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(200);

    private readonly ConcurrentDictionary<string, Process> _running = [];
    private readonly Lock _closing = new();

    /// <summary>Runs those that are not done, in their order.</summary>
    /// <param name="runs">All runs of the sweep.</param>
    /// <param name="isDone">Of each whether it is done already.</param>
    /// <returns>Those that failed, with what they said.</returns>
    /// <exception cref="OperationCanceledException">It was stopped; every run has saved what it has.</exception>
    public IReadOnlyList<(PlannedRun Run, string Message)> Run(IReadOnlyList<PlannedRun> runs, IReadOnlyList<bool> isDone)
    {
        var waiting = new ConcurrentQueue<PlannedRun>(runs.Where((_, i) => !isDone[i]));
        var failed = new ConcurrentQueue<(PlannedRun Run, string Message)>();
        var ended = new ConcurrentDictionary<string, int>(runs.Where((_, i) => isDone[i]).Select(run => KeyValuePair.Create(run.Name, run.Recipe.Iterations)));
        var before = waiting.ToDictionary(run => run.Name, run => run.Iterations);
        var total = runs.Sum(run => (long)run.Recipe.Iterations);
        using var progress = new ProgressLine(terminal, "sweep", "iterations", total, ended.Values.Sum(done => (long)done) + before.Values.Sum(done => (long)done));
        void Show() => progress.Report(
            runs.Sum(run => ended.TryGetValue(run.Name, out var done) ? done : _running.ContainsKey(run.Name) ? run.Iterations : (long)before[run.Name]),
            string.Create(CultureInfo.InvariantCulture, $"{ended.Count - failed.Count} of {runs.Count} runs done{(failed.IsEmpty ? "" : $", {failed.Count} failed")}"));

        using var stopping = terminal.Stop.Register(CloseInputs);
        var workers = Enumerable.Range(0, Math.Min(processes, waiting.Count)).Select(_ => Task.Factory.StartNew(() =>
        {
            while (!terminal.Stop.IsCancellationRequested && waiting.TryDequeue(out var run))
            {
                var message = RunOne(run, progress);
                if (message is not null && !terminal.Stop.IsCancellationRequested)
                {
                    failed.Enqueue((run, message));
                    progress.Note($"{run.Name}: failed: {message}");
                }

                if (message is null || !terminal.Stop.IsCancellationRequested) ended[run.Name] = run.Iterations;
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
        Show();
        while (!Task.WaitAll(workers, BetweenLooks)) Show();
        Show();
        terminal.Stop.ThrowIfCancellationRequested();
        progress.Done();
        return [.. failed];
    }

    /// <summary>Runs one to its end.</summary>
    /// <returns>Null if it is done; else what went wrong.</returns>
    private string? RunOne(PlannedRun run, ProgressLine progress)
    {
        if (RunOwnership.IsTaken(run.Folder.Path))
        {
            // One that a sweep before this left behind, and that is about to stop; or somebody's own.
            progress.Note($"{run.Name}: waits for another process, which has the run's folder");
            while (RunOwnership.IsTaken(run.Folder.Path))
                if (terminal.Stop.WaitHandle.WaitOne(BetweenLooks)) return "stopped";
            if (run.IsDone) return null;
        }

        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(run.LogPath)!);
            using var log = new StreamWriter(new FileStream(run.LogPath, FileMode.Append, FileAccess.Write, FileShare.ReadWrite), new UTF8Encoding(false)) { AutoFlush = true };
            using var process = new Process { StartInfo = StartOf(run) };
            string? error = null;
            process.OutputDataReceived += (_, _) => { };
            process.ErrorDataReceived += (_, line) =>
            {
                if (line.Data is null) return;
                log.WriteLine(line.Data);
                if (line.Data.StartsWith(ErrorPrefix, StringComparison.Ordinal)) error = line.Data[ErrorPrefix.Length..];
            };
            lock (_closing)
            {
                if (terminal.Stop.IsCancellationRequested) return "stopped";
                process.Start();
                _running[run.Name] = process;
            }

            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            process.WaitForExit();
            lock (_closing) _running.TryRemove(run.Name, out _);
            return process.ExitCode switch
            {
                ExitCode.Ok => null,
                ExitCode.Stopped => "it was stopped; the same command goes on with it",
                var code => error ?? string.Create(CultureInfo.InvariantCulture, $"it ended with code {code} and without a message; {run.LogPath} has what it said before"),
            };
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or Win32Exception)
        {
            return failure.Message.ReplaceLineEndings(" ");
        }
    }

    private ProcessStartInfo StartOf(PlannedRun run)
    {
        var start = new ProcessStartInfo(terminal.OwnProgram[0], [.. terminal.OwnProgram.Skip(1), .. run.Arguments])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardErrorEncoding = Encoding.UTF8,
        };
        start.Environment[Interrupt.InputVariable] = "1";
        if (threads is { } count) start.Environment[ThreadsVariable] = count.ToString(CultureInfo.InvariantCulture);
        return start;
    }

    private void CloseInputs()
    {
        lock (_closing)
            foreach (var process in _running.Values)
                process.StandardInput.Close();
    }

    /// <inheritdoc/>
    public void Dispose() => CloseInputs();
}
