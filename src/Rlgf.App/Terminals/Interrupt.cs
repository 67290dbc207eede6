using System.Runtime.InteropServices;

namespace Rlgf.App.Terminals;

/// <summary>
/// Ctrl-C, SIGTERM and the loss of the terminal (SIGHUP): the first asks the work to stop where nothing is lost. A second Ctrl-C or SIGTERM ends the process at once; a second SIGHUP does not,
/// since the shell and the kernel both send one. Where SIGHUP is ignored, as under nohup, it stays so.
/// </summary>
internal sealed class Interrupt : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _registrations;
    private bool _wasAsked;

    /// <summary>Registers for the signals.</summary>
    /// <param name="error">Where it is said that work is stopping.</param>
    public Interrupt(TextWriter error)
    {
        void Handle(PosixSignalContext context)
        {
            var isLostTerminal = context.Signal == PosixSignal.SIGHUP;
            if (_wasAsked && !isLostTerminal)
            {
                // Not cancelled, so the system's own handling ends the process, which shells report as 130.
                return;
            }

            context.Cancel = true;
            _wasAsked |= !isLostTerminal;
            if (_source.IsCancellationRequested)
            {
                return;
            }

            error.WriteLine();
            error.WriteLine("stopping after this step; press Ctrl-C again to stop at once");
            _source.Cancel();
        }

        PosixSignal[] signals = [PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP];
        _registrations = [.. signals.Select(signal => PosixSignalRegistration.Create(signal, Handle))];
    }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

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
