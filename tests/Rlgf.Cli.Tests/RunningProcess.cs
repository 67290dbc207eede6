using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Rlgf.Cli.Tests;

/// <summary>A process that can be waited for, signalled and killed.</summary>
internal sealed class RunningProcess : IDisposable
{
    /// <summary>The signal of Ctrl-C.</summary>
    public const string Interrupt = "-INT";

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly Process _process;
    private readonly StringBuilder _error = new(), _output = new();

    private RunningProcess(ProcessStartInfo start)
    {
        (start.RedirectStandardError, start.RedirectStandardOutput) = (true, true);
        // One thread in every run: the number of threads may change the last bits.
        start.Environment["OMP_NUM_THREADS"] = "1";
        _process = Process.Start(start)!;
        _process.OutputDataReceived += (_, line) =>
        {
            lock (_output) _output.AppendLine(line.Data);
        };
        _process.ErrorDataReceived += (_, line) =>
        {
            lock (_error) _error.AppendLine(line.Data);
        };
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>The command's assembly.</summary>
    public static string Program => Path.Combine(AppContext.BaseDirectory, "Rlgf.Cli.dll");

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Starts the command.</summary>
    public static RunningProcess Rlgf(params string[] args) => Of("dotnet", [Program, .. args]);

    /// <summary>Starts any program.</summary>
    public static RunningProcess Of(string program, string[] args, string? currentFolder = null) => new(new ProcessStartInfo(program, args) { WorkingDirectory = currentFolder ?? "" });

    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>Sends a signal, such as <see cref="Interrupt"/>.</summary>
    public void Signal(string signal) => Signals.Send(signal.TrimStart('-'), _process.Id);

    /// <summary>Waits until something has come about.</summary>
    public void WaitFor(Func<bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.False(_process.HasExited, "it ended before it could be stopped");
            Assert.True(clock.Elapsed < Patience, "it did not come so far in time");
            Thread.Sleep(5);
        }
    }

    public (int Code, string Output, string Error) Finish()
    {
        Assert.True(_process.WaitForExit(Patience), "it did not end in time");
        _process.WaitForExit();
        lock (_output) lock (_error) return (_process.ExitCode, _output.ToString(), _error.ToString());
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.Dispose();
    }
}
