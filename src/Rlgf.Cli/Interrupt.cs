using System.Runtime.InteropServices;

namespace Rlgf.Cli;

/// <summary>Ctrl-C and SIGTERM: the first asks the work to stop where nothing is lost, the second ends the process at once.</summary>
internal sealed class Interrupt : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _registrations;

    /// <summary>Registers for the signals.</summary>
    /// <param name="error">Where it is said that work is stopping.</param>
    public Interrupt(TextWriter error)
    {
        void Handle(PosixSignalContext context)
        {
            if (_source.IsCancellationRequested)
            {
                // Not cancelled, so the system's own handling ends the process, which shells report as 130.
                return;
            }

            context.Cancel = true;
            error.WriteLine();
            error.WriteLine("stopping after this step; press Ctrl-C again to stop at once");
            _source.Cancel();
        }

        _registrations = [PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle), PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle)];
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
