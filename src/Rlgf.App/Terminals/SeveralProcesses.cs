using System.Globalization;
using Rlgf.Distributed;
using Rlgf.Distributed.Mpi;

namespace Rlgf.App.Terminals;

/// <summary>The processes that mpirun or srun has started together, where this one is among them: the first speaks for all, and all end together. A process alone loads nothing.</summary>
/// <param name="error">Where the first says what ended all; another, where the first can't.</param>
internal sealed class SeveralProcesses(TextWriter error) : IDisposable
{
    private MpiCommunicator? _mpi;

    /// <summary>Whether there are several.</summary>
    public bool WereStarted { get; } = MpiCommunicator.IsOneOfSeveral;

    /// <summary>Whether this one speaks for all.</summary>
    public bool IsFirst => _mpi is { } mpi ? mpi.Rank == 0 : !WereStarted || MpiCommunicator.IsFirst;

    /// <summary>All of them.</summary>
    public ICommunicator Ranks => (ICommunicator?)_mpi ?? OneProcess.Alone;

    /// <summary>Ends all with a line and an exit code; null for a process alone.</summary>
    public Action<string, int>? EndAll => _mpi is null ? null : _mpi.Fail;

    /// <summary>Finds the others.</summary>
    /// <exception cref="Base.InputException">There is no MPI that can be used.</exception>
    public void Begin()
    {
        if (!WereStarted) return;
        _mpi = MpiCommunicator.Begin(line => error.WriteLine(Failure.Line(line)));
    }

    /// <summary>Where they are, and what of their starter's settings lets a run end badly.</summary>
    public IReadOnlyList<string> About => _mpi is null ? []
        : [string.Create(CultureInfo.InvariantCulture, $"{_mpi.Size} processes on {string.Join(", ", _mpi.Hosts.Distinct())} ({_mpi.Library})"), .. _mpi.Notes.Select(note => $"warning: {note}")];

    /// <summary>Whether another of them is lost, so that nothing can be saved any more; that is said, once. Takes a moment.</summary>
    public bool HaveLostOne => _mpi is { } mpi && mpi.HasLostOne();

    /// <summary>Waits for the others to end too: one that ended first would be taken for one that failed, and the rest killed.</summary>
    /// <param name="code">This one's exit code.</param>
    /// <returns>The same.</returns>
    public int End(int code)
    {
        _mpi?.End(code);
        return code;
    }

    /// <inheritdoc/>
    public void Dispose() => _mpi?.Dispose();
}
