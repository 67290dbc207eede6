using System.Runtime.InteropServices;

namespace Rlgf.App.Terminals;

/// <summary>
/// Ctrl-C, SIGTERM and the loss of the terminal (SIGHUP): the first asks the work to stop where nothing is lost. A second Ctrl-C or SIGTERM ends the process at once; a second SIGHUP does not,
/// since the shell and the kernel both send one. Where SIGHUP is ignored, as under nohup, it stays so. A process that another has started for its own work (<see cref="InputVariable"/>) also
/// stops when that one wants it or is gone.
/// </summary>
internal sealed class Interrupt : IDisposable
{
    /// <summary>
    /// Set to 1 for a process whose standard input is a pipe that another process holds and never writes to: it stops when the pipe is closed, on purpose or because that process is gone. Signals would
    /// not do: a terminal sends its Ctrl-C to both, so that one passed on would be the second, and a process that is killed passes none on.
    /// </summary>
    public const string InputVariable = "RLGF_STOP_AT_END_OF_INPUT";

    private const int User1 = 10, User1OfMacOS = 30;

    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _registrations;
    private readonly bool _isOneOfSeveral;
    private bool _wasAsked;

    /// <summary>Registers for the signals.</summary>
    /// <param name="error">Where it is said that work is stopping.</param>
    /// <param name="isOneOfSeveral">
    /// Whether mpirun or srun started the process: then SIGUSR1 asks for a stop too, which mpirun passes on and Slurm sends before the time is up, and so does SIGCONT, with which Open MPI begins when it is asked to stop,
    /// a while before its SIGTERM.
    /// </param>
    public Interrupt(TextWriter error, bool isOneOfSeveral = false)
    {
        _isOneOfSeveral = isOneOfSeveral;
        void Handle(PosixSignalContext context)
        {
            var mayCome = context.Signal is not (PosixSignal.SIGINT or PosixSignal.SIGTERM);
            if (_wasAsked && !mayCome)
            {
                // Not cancelled, so the system's own handling ends the process, which shells report as 130.
                return;
            }

            context.Cancel = true;
            _wasAsked |= !mayCome;
            Stop(error);
        }

        PosixSignal[] signals = [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, .. isOneOfSeveral && !OperatingSystem.IsWindows() ? (PosixSignal[])[PosixSignal.SIGCONT, (PosixSignal)(OperatingSystem.IsMacOS() ? User1OfMacOS : User1)] : []];
        _registrations = [.. signals.Select(signal => PosixSignalRegistration.Create(signal, Handle))];
        if (Environment.GetEnvironmentVariable(InputVariable) == "1") new Thread(() => StopAtEndOfInput(error)) { IsBackground = true, Name = "end of input" }.Start();
    }

    /// <summary>What is said of the first signal; null for nothing.</summary>
    public Func<string?> Stopping { get; set; } = () => AskedTwice(Terminal.StoppingByDefault);

    /// <summary>What is done at the first signal, and what a second would do.</summary>
    public static string AskedTwice(string stopping) => $"{stopping}; press Ctrl-C again to stop at once";

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

    private void StopAtEndOfInput(TextWriter error)
    {
        try
        {
            using var input = StandardStream.Input();
            var ignored = new byte[64];
            while (input.Read(ignored) > 0)
            {
            }
        }
        catch (IOException)
        {
            // As good as its end.
        }

        Stop(error);
    }

    private void Stop(TextWriter error)
    {
        try
        {
            if (_source.IsCancellationRequested) return;
            // Of several processes it takes a moment to know what to say, and they have little time to save.
            if (_isOneOfSeveral) _source.Cancel();
            if (Stopping() is { } line)
            {
                error.WriteLine();
                error.WriteLine(line);
            }

            _source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The command has ended.
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        _source.Dispose();
    }
}
