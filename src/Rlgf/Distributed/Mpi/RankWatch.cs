using System.Diagnostics;
using System.Globalization;

namespace Rlgf.Distributed.Mpi;

/// <summary>
/// Looks whether the other ranks are alive, and says that this one is. Rank 0 listens to all, all listen to rank 0. Called from MPI's thread but for <see cref="Gone"/>.
/// </summary>
/// <param name="say">Told why the run ends, at most once.</param>
/// <param name="timeout">How long a rank may give no sign of life.</param>
internal sealed class RankWatch(Action<string> say, TimeSpan timeout)
{
    /// <summary>A rank on this machine that works, as the system says, and gives no sign of life is given so many times the time.</summary>
    private const int TimesWhileWorking = 10;

    /// <summary>In place of an exit code: why the run ends has been said, and whoever hears of it has nothing to add.</summary>
    private const int Said = -1;

    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1), Patience = TimeSpan.FromSeconds(2), Grace = TimeSpan.FromSeconds(3);

    private readonly Lock _speech = new();
    private MpiPeer[] _peers = [];
    private RankProcess[] _processes = [];
    private int _rank;
    private bool _hasSpoken;
    private (int Code, string Text)? _word;
    private long? _ends;
    private TimeSpan _wait;

    /// <summary>Whether there is somebody to look for.</summary>
    public bool HasPeers => _peers.Length > 0;

    /// <summary>Begins to listen.</summary>
    public void Begin(MpiLibrary mpi, int rank, int size)
    {
        (_rank, _peers) = (rank, [.. (rank == 0 ? Enumerable.Range(1, size - 1) : [0]).Select(other => new MpiPeer(other))]);
        foreach (var peer in _peers) peer.Receive(mpi);
    }

    /// <summary>Says where the ranks are.</summary>
    public void Know(RankProcess[] processes) => _processes = processes;

    /// <summary>Ends listening.</summary>
    public void End(MpiLibrary mpi)
    {
        foreach (var peer in _peers) peer.Stop(mpi);
        _peers = [];
    }

    /// <summary>Has rank 0 told, at the next look, why this one doesn't go on.</summary>
    public void Report(string line, int code) => _word = (code, line);

    /// <summary>Tells the others, once, that it has been said why the run ends: they are about to be ended, one before the other.</summary>
    public void TellSaid(MpiLibrary mpi)
    {
        foreach (var peer in _peers) peer.Send(mpi, Said, "said");
    }

    /// <summary>A rank and its machine.</summary>
    public string Named(int rank) => _processes.Length > rank ? $"rank {rank} on {_processes[rank].Host}" : $"rank {rank}";

    /// <summary>Whether it has been said why the run ends, here or elsewhere.</summary>
    public bool HasSpoken
    {
        get
        {
            lock (_speech) return _hasSpoken;
        }
    }

    /// <summary>Whether a rank on this machine has ended without a word. The first of those that are left there says so.</summary>
    public bool Gone()
    {
        ProcessLife[] lives = [.. _processes.Select(process => process.Life(_processes[_rank]))];
        var gone = Array.IndexOf(lives, ProcessLife.Gone);
        if (gone < 0) return false;
        if (_word is null && lives.Take(_rank).All(life => life is ProcessLife.Gone or ProcessLife.Unknown)) Say($"{Named(gone)} has ended without a word: it was killed, or has crashed; --resume goes on from the newest checkpoint");
        return true;
    }

    /// <summary>Says something, unless something was said.</summary>
    public void Say(string line)
    {
        lock (_speech)
        {
            if (_hasSpoken) return;
            _hasSpoken = true;
            say(line);
        }
    }

    /// <summary>Looks once.</summary>
    /// <param name="mpi">MPI.</param>
    /// <param name="isBusy">Whether this rank waits for the others.</param>
    /// <returns>The exit code with which all ranks have to be ended now; null for none.</returns>
    public int? Look(MpiLibrary mpi, bool isBusy)
    {
        foreach (var peer in _peers)
        {
            peer.Listen(mpi);
            if (_word is { } word) peer.IsTold |= !peer.IsTold && peer.Send(mpi, word.Code, word.Text);
            else if (peer.SinceSent >= Beat) peer.Send(mpi, 0, "");

            // Where all ranks fail alike, rank 0 does too, and its line, without a rank's name, is the better one: it is given the time.
            if (peer is { Reported: { } report, Code: not Said } && _rank == 0 && (isBusy || Stopwatch.GetElapsedTime(peer.ReportedAt) > Patience))
            {
                Say($"{Named(peer.Rank)}: {report}");
                return peer.Code;
            }

            if (peer is { Reported: not null, Code: Said }) EndAfter(Grace + Patience);
            else if (_ends is null && IsLost(peer)) Lose(peer);
        }

        return _ends is { } since && Stopwatch.GetElapsedTime(since) > _wait ? 1 : null;
    }

    /// <summary>
    /// Whether a rank is lost rather than busy: it has been silent for the time, and the system doesn't say that it works. Those but rank 0 wait a little longer for rank 0 than it waits for them, and those but rank 1 until that one
    /// has had time to end all, so that one of them says what happened.
    /// </summary>
    private bool IsLost(MpiPeer peer)
    {
        var silent = peer.Silence;
        if (silent < 2 * Beat) return false;
        var life = LifeOf(peer);
        if (life == ProcessLife.Gone) return _rank == 0 || silent > Patience + Later;
        return silent > timeout + Later && (life != ProcessLife.Working || silent > TimesWhileWorking * timeout);
    }

    private TimeSpan Later => _rank switch
    {
        0 => TimeSpan.Zero,
        1 => Beat,
        _ => Grace + Patience + (Beat / 4 * Math.Min(_rank, 20)),
    };

    /// <summary>The system is asked once a second.</summary>
    private ProcessLife LifeOf(MpiPeer peer)
    {
        if (_processes.Length == 0) return ProcessLife.Unknown;
        if (Stopwatch.GetElapsedTime(peer.AskedAt) >= Beat) (peer.Life, peer.AskedAt) = (_processes[peer.Rank].Life(_processes[_rank]), Stopwatch.GetTimestamp());
        return peer.Life;
    }

    private void Lose(MpiPeer lost)
    {
        if (lost.Life == ProcessLife.Gone)
        {
            Gone();
        }
        else
        {
            var why = lost.Life switch
            {
                ProcessLife.Suspended => "it is suspended",
                ProcessLife.Working => "it computes and doesn't answer",
                ProcessLife.Waiting => "it hangs",
                _ => "it was suspended, cut off the network, or got no processor",
            };
            Say(string.Create(
                CultureInfo.InvariantCulture,
                $"{Named(lost.Rank)} has given no sign of life for {lost.Silence.TotalSeconds:0} seconds: {why}; the run ends, and --resume goes on. On busy machines set {MpiEnvironment.TimeoutVariable}, seconds, above {timeout.TotalSeconds:0.#}"));
        }

        // The others, the lost one too if it comes back, have nothing to say of it.
        _word = (Said, "said");
        // mpirun that finds out for itself that a machine was cut off ends; one that is told to end first waits for that machine.
        EndAfter(_rank < 2 ? Grace : TimeSpan.Zero);
    }

    private void EndAfter(TimeSpan wait)
    {
        if (_ends is not null) return;
        (_ends, _wait) = (Stopwatch.GetTimestamp(), wait);
        lock (_speech) _hasSpoken = true;
    }
}
