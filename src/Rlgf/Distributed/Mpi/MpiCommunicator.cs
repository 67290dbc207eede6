using System.Diagnostics;
using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;
using Rlgf.Base;

namespace Rlgf.Distributed.Mpi;

/// <summary>
/// The ranks of a program that was started by mpirun or srun. All calls of MPI are made by one thread, which also says every second that this rank is alive, so that a rank that is lost ends the run whatever the others are doing.
/// </summary>
public sealed unsafe class MpiCommunicator : ICommunicator, IDisposable
{
    /// <summary>The exit code of a rank that was stopped.</summary>
    private const int Stopped = 130;

    /// <summary>Floats of a part that go to one rank at once, and bytes of all ranks.</summary>
    private const int MostFloats = 1 << 22, MostGathered = 1 << 28;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(0.25), LastWait = TimeSpan.FromSeconds(4);

    private readonly RankWatch _watch;
    private readonly TimeSpan _timeout;
    private readonly Thread _thread;
    private readonly SemaphoreSlim _posted = new(0), _done = new(0);
    private MpiLibrary _mpi = null!;
    private Action? _job;
    private Exception? _fault;
    private bool _isBusy, _hasEnded;
    private long _bytes;
    private double _seconds;

    private MpiCommunicator(Action<string> say, TimeSpan timeout)
    {
        (_watch, _timeout) = (new(say, timeout), timeout);
        _thread = new Thread(Serve) { IsBackground = true, Name = "MPI" };
    }

    /// <summary>What an operation is; told to the others first, so that ranks that would do different things end with a line instead of waiting for ever.</summary>
    private enum Operation { Sum = 1, Broadcast, Gather, End }

    /// <inheritdoc/>
    public int Rank { get; private set; }

    /// <inheritdoc/>
    public int Size { get; private set; } = 1;

    /// <inheritdoc/>
    public IReadOnlyList<string> Hosts { get; private set; } = [Environment.MachineName];

    /// <inheritdoc/>
    public CommunicationCost Cost => new(_bytes, _seconds);

    /// <summary>The MPI library.</summary>
    public string Library => _mpi.Version;

    /// <summary>Whether this process is one of several that were started together. Looks at the environment alone.</summary>
    public static bool IsOneOfSeveral => MpiEnvironment.ProcessesStarted() > 1;

    /// <summary>Which process this is, as far as the starter says so before MPI is begun: the others say nothing.</summary>
    public static bool IsFirst => MpiEnvironment.RankStarted() == 0;

    /// <summary>Begins MPI.</summary>
    /// <param name="say">Told, on any thread and at most once, the line with which all ranks end.</param>
    /// <exception cref="InputException">There is no MPI library, or not one that can be used, or the processes don't know of each other.</exception>
    /// <remarks>Where not all processes come, MPI waits for ever: then the line is said after a time (<c>RLGF_START_TIMEOUT</c>), and this process ends.</remarks>
    public static MpiCommunicator Begin(Action<string> say)
    {
        var (timeout, start, started) = (MpiEnvironment.Timeout(), MpiEnvironment.StartTimeout(), MpiEnvironment.ProcessesStarted());
        var communicator = new MpiCommunicator(say, timeout);
        communicator._thread.Start();
        // The first that waits says it, and mpirun then ends the others.
        if (!communicator.Call(communicator.Open, start + (2 * Math.Min(MpiEnvironment.RankStarted(), 10) * TimeSpan.FromSeconds(1))))
        {
            communicator._watch.Say(string.Create(
                CultureInfo.InvariantCulture,
                $"{started} processes were started, and not all of them have come after {start.TotalSeconds:0.#} seconds: one hangs, can't be reached, or is another program; this is rank {MpiEnvironment.RankStarted()} on {Environment.MachineName}. Where starting takes long, set {MpiEnvironment.StartTimeoutVariable}, seconds"));
            KillLater();
            Environment.Exit(1);
        }

        RankProcess[] processes = [.. communicator.Gather(RankProcess.Own().ToBytes()).Select(RankProcess.FromBytes)];
        communicator.Hosts = [.. processes.Select(process => process.Host)];
        communicator._watch.Know(processes);
        return communicator;
    }

    /// <summary>Whether the run ends since a rank is lost, which then has been said. Waits a moment, in which what others know of it comes.</summary>
    public bool HasLostOne()
    {
        Thread.Sleep(2 * Pause);
        return !_hasEnded && (_watch.HasSpoken || _watch.Gone());
    }

    /// <summary>What of mpirun's own settings lets a run end badly, one line each.</summary>
    public IEnumerable<string> Notes => MpiEnvironment.Notes(Hosts.Distinct().Skip(1).Any());

    /// <inheritdoc/>
    public void Sum(Span<float> values)
    {
        fixed (float* first = values)
        {
            var (place, count) = ((nint)first, values.Length);
            Timed(() =>
            {
                Agree(Operation.Sum, count);
                for (var at = 0; at < count; at += MostFloats) Sum(place + ((nint)at * sizeof(float)), Math.Min(MostFloats, count - at));
            });
        }
    }

    /// <inheritdoc/>
    public byte[] Broadcast(byte[]? value)
    {
        if (Rank == 0) ArgumentNullException.ThrowIfNull(value);
        return Timed(() =>
        {
            var lengths = Agree(Operation.Broadcast, value?.Length ?? 0, mayDiffer: true);
            var bytes = Rank == 0 ? value! : new byte[lengths[0]];
            fixed (byte* first = bytes)
            {
                for (var at = 0; at < bytes.Length; at += MostGathered) Wait(_mpi.Broadcast((nint)(first + at), Math.Min(MostGathered, bytes.Length - at)));
            }

            if (Rank == 0) _bytes += bytes.Length;
            return bytes;
        });
    }

    /// <inheritdoc/>
    public byte[][] Gather(byte[] value) => Timed(() => GatherParts(value));

    /// <summary>
    /// Ends in order, once all ranks are here: none may end, and be taken for one that failed, while another still writes. One that was stopped has those that are in the midst of something stop too; one that has
    /// ended otherwise has them fail.
    /// </summary>
    /// <param name="code">This rank's exit code; 130 says that it was stopped.</param>
    public void End(int code)
    {
        if (_hasEnded) return;
        Call(() =>
        {
            while (!Tell(Operation.End, code).All(other => other.Operation == Operation.End))
            {
                // The others see that this rank is here.
            }

            _watch.End(_mpi);
        });
        // MPI's own end waits for all once more. One that is lost only now has done its work.
        if (!Call(_mpi.End, _timeout)) KillLater();
        _hasEnded = true;
    }

    /// <summary>Ends all ranks with one line, which names this one; doesn't return. Rank 0 says it, and where it can't, this one does.</summary>
    /// <param name="line">What went wrong.</param>
    /// <param name="code">What mpirun returns.</param>
    public void Fail(string line, int code)
    {
        if (Rank == 0)
        {
            _watch.Say(line);
            Call(() => Abort(code));
            return;
        }

        _watch.Report(line, code);
        // Rank 0 says it and ends all, this one too.
        Thread.Sleep(_timeout);
        _watch.Say($"{Named(Rank)}: {line}");
        Call(() => Abort(code));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _hasEnded = true;
        _posted.Dispose();
        _done.Dispose();
    }

    private string Named(int rank) => _watch.Named(rank);

    private void Open()
    {
        _mpi = MpiLibrary.Load();
        _mpi.Begin();
        (Rank, Size) = (_mpi.Rank, _mpi.Size);
        var started = MpiEnvironment.ProcessesStarted();
        if (Size != started)
            throw new InputException($"{started} processes were started, and {_mpi.Version} sees {Size}: it was not told of the others; with Slurm say srun --mpi=pmix, and use the mpirun of the library that is loaded");
        _watch.Begin(_mpi, Rank, Size);
    }

    private byte[][] GatherParts(byte[] value)
    {
        var lengths = Agree(Operation.Gather, value.Length, mayDiffer: true);
        var all = Array.ConvertAll(lengths, length => new byte[length]);
        var (counts, places) = (new int[Size], new int[Size]);
        // In rounds, since counts and places are whole numbers of 32 bits.
        var most = Math.Max(1, MostGathered / Size);
        for (long at = 0; at < lengths.Max(); at += most)
        {
            var total = 0;
            for (var rank = 0; rank < Size; rank++) (counts[rank], places[rank], total) = ((int)Math.Clamp(lengths[rank] - at, 0, most), total, total + (int)Math.Clamp(lengths[rank] - at, 0, most));
            var received = new byte[total];
            fixed (byte* own = value, into = received)
            fixed (int* ofCounts = counts, ofPlaces = places)
                Wait(_mpi.GatherAll(counts[Rank] == 0 ? 0 : (nint)(own + at), counts[Rank], (nint)into, ofCounts, ofPlaces));
            for (var rank = 0; rank < Size; rank++) received.AsSpan(places[rank], counts[rank]).CopyTo(all[rank].AsSpan((int)at));
        }

        _bytes += (long)value.Length * (Size - 1);
        return all;
    }

    /// <summary>Rank k adds up the k-th part of all, in the order of the ranks, and gives it to all: as many bytes as a ring takes, and an order of additions that no library chooses.</summary>
    private void Sum(nint values, int count)
    {
        var part = (count + Size - 1) / Size;
        var (own, received) = (new float[part * Size], new float[part * Size]);
        new Span<float>((void*)values, count).CopyTo(own);
        fixed (float* ofOwn = own, ofReceived = received)
        {
            Wait(_mpi.Exchange((nint)ofOwn, (nint)ofReceived, part));
            var sum = received.AsSpan(0, part);
            for (var rank = 1; rank < Size; rank++) Add(sum, received.AsSpan(rank * part, part));
            sum.CopyTo(own.AsSpan(0, part));
            Wait(_mpi.GatherAll((nint)ofOwn, (nint)ofReceived, part * sizeof(float)));
        }

        received.AsSpan(0, count).CopyTo(new Span<float>((void*)values, count));
        _bytes += 2L * part * (Size - 1) * sizeof(float);
    }

    private static void Add(Span<float> sum, ReadOnlySpan<float> more)
    {
        var whole = sum.Length - (sum.Length % Vector<float>.Count);
        for (var i = 0; i < whole; i += Vector<float>.Count) (new Vector<float>(sum[i..]) + new Vector<float>(more[i..])).CopyTo(sum[i..]);
        for (var i = whole; i < sum.Length; i++) sum[i] += more[i];
    }

    /// <summary>Makes sure that all ranks are at the same operation.</summary>
    /// <returns>The sizes of all.</returns>
    private int[] Agree(Operation operation, int size, bool mayDiffer = false)
    {
        var all = Tell(operation, size);
        for (var rank = 0; rank < Size; rank++)
        {
            var other = all[rank];
            if (other.Operation == operation && (mayDiffer || other.Size == size)) continue;
            if (other is { Operation: Operation.End, Size: Stopped }) throw new OperationCanceledException($"{Named(rank)} was stopped");
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"the ranks have come apart: {Named(Rank)} is at {operation} ({size}) and {Named(rank)} at {other.Operation} ({other.Size}): a part of the recipe doesn't do the same on all"));
        }

        return Array.ConvertAll(all, other => other.Size);
    }

    /// <summary>Tells all ranks what comes next on this one.</summary>
    /// <returns>What comes on each.</returns>
    private (Operation Operation, int Size)[] Tell(Operation operation, int size)
    {
        var own = stackalloc int[2] { (int)operation, size };
        var all = new int[2 * Size];
        fixed (int* into = all) Wait(_mpi.GatherAll((nint)own, (nint)into, 2 * sizeof(int)));
        _bytes += 2L * sizeof(int) * (Size - 1);
        return [.. all.Chunk(2).Select(other => ((Operation)other[0], other[1]))];
    }

    private void Timed(Action operation) => Timed(() =>
    {
        operation();
        return true;
    });

    private T Timed<T>(Func<T> operation)
    {
        var start = Stopwatch.GetTimestamp();
        T? result = default;
        Call(() => result = operation());
        _seconds += Stopwatch.GetElapsedTime(start).TotalSeconds;
        return result!;
    }

    /// <summary>Has MPI's thread do something, and waits.</summary>
    /// <param name="job">What.</param>
    /// <param name="limit">How long; null for as long as it takes.</param>
    /// <returns>Whether it is done.</returns>
    private bool Call(Action job, TimeSpan? limit = null)
    {
        ObjectDisposedException.ThrowIf(_hasEnded, this);
        _job = job;
        _posted.Release();
        if (!_done.Wait(limit ?? Timeout.InfiniteTimeSpan)) return false;
        if (_fault is { } fault)
        {
            _fault = null;
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(fault);
        }

        return true;
    }

    /// <summary>MPI's thread.</summary>
    private void Serve()
    {
        try
        {
            while (!_hasEnded)
            {
                if (_posted.Wait(_watch.HasPeers ? Pause : Timeout.InfiniteTimeSpan)) Do();
                if (!_hasEnded) Watch();
            }
        }
        catch (Exception failure) when (failure is InputException or ObjectDisposedException)
        {
            if (_hasEnded) return;
            _watch.Say($"{Named(Rank)}: {failure.Message}");
            Abort(1);
        }
    }

    private void Do()
    {
        try
        {
            _isBusy = true;
            _job!();
        }
#pragma warning disable CA1031 // It is thrown on the thread that waits.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            _fault = failure;
        }

        _isBusy = false;
        _done.Release();
    }

    /// <summary>Waits for something that was begun: at first without giving the processor away, since neighbours answer at once, then with ever longer pauses, since others may have much to do on the same processor.</summary>
    private void Wait(nint request)
    {
        var spin = new SpinWait();
        var start = Stopwatch.GetTimestamp();
        while (!_mpi.IsDone(ref request))
        {
            Watch();
            if (Stopwatch.GetElapsedTime(start) < TimeSpan.FromMilliseconds(1)) spin.SpinOnce(sleep1Threshold: -1);
            else Thread.Sleep(Stopwatch.GetElapsedTime(start) < TimeSpan.FromMilliseconds(100) ? 0 : 1);
        }
    }

    /// <summary>Says that this rank is alive, and looks whether the others are.</summary>
    private void Watch()
    {
        if (_watch.Look(_mpi, _isBusy) is { } code) Abort(code);
    }

    /// <summary>Ends all ranks. Where mpirun can't be reached MPI's own end may wait for it: this process then ends all the same.</summary>
    private void Abort(int code)
    {
        KillLater();
        _watch.TellSaid(_mpi);
        _mpi.Abort(code);
        Thread.Sleep(Timeout.Infinite);
    }

    /// <summary>Ends this process after a while, whatever MPI's library waits for.</summary>
    private static void KillLater() => new Thread(() =>
    {
        Thread.Sleep(LastWait);
        Process.GetCurrentProcess().Kill();
    })
    { IsBackground = true }.Start();
}
