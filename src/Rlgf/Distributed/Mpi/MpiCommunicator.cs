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

    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1), Patience = TimeSpan.FromSeconds(2), LastWait = TimeSpan.FromSeconds(4), Grace = TimeSpan.FromSeconds(3);

    private readonly Action<string> _say;
    private readonly TimeSpan _timeout;
    private readonly Thread _thread;
    private readonly SemaphoreSlim _posted = new(0), _done = new(0);
    private readonly Lock _speech = new();
    private MpiLibrary _mpi = null!;
    private Action? _job;
    private Exception? _fault;
    private bool _isBusy, _hasEnded, _hasSpoken;
    private long _bytes;
    private double _seconds;
    private string? _failure;
    private int _failureCode;
    private long? _lost;
    private MpiPeer[] _peers = [];

    private MpiCommunicator(Action<string> say, TimeSpan timeout)
    {
        (_say, _timeout) = (say, timeout);
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
    public static bool IsFirst => !Array.Exists(["OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"], name => Environment.GetEnvironmentVariable(name) is { Length: > 0 } and not "0");

    /// <summary>Begins MPI.</summary>
    /// <param name="say">Told, on any thread and at most once, the line with which all ranks end.</param>
    /// <exception cref="InputException">There is no MPI library, or not one that can be used, or the processes don't know of each other.</exception>
    public static MpiCommunicator Begin(Action<string> say)
    {
        var communicator = new MpiCommunicator(say, MpiEnvironment.Timeout());
        communicator._thread.Start();
        communicator.Call(communicator.Open);
        communicator.Hosts = [.. communicator.Gather(Encoding.UTF8.GetBytes(Environment.MachineName)).Select(Encoding.UTF8.GetString)];
        return communicator;
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

            foreach (var peer in _peers) peer.Stop(_mpi);
            _mpi.End();
            _hasEnded = true;
        });
    }

    /// <summary>Ends all ranks with one line, which names this one; doesn't return. Rank 0 says it, and where it can't, this one does.</summary>
    /// <param name="line">What went wrong.</param>
    /// <param name="code">What mpirun returns.</param>
    public void Fail(string line, int code)
    {
        if (Rank == 0)
        {
            Say(line);
            Call(() => Abort(code));
            return;
        }

        (_failureCode, _failure) = (code, line);
        // Rank 0 says it and ends all, this one too.
        Thread.Sleep(LastWait);
        Say($"{Named(Rank)}: {line}");
        Call(() => Abort(code));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _hasEnded = true;
        _posted.Dispose();
        _done.Dispose();
    }

    private string Named(int rank) => Hosts.Count > rank ? $"rank {rank} on {Hosts[rank]}" : $"rank {rank}";

    private void Open()
    {
        _mpi = MpiLibrary.Load();
        _mpi.Begin();
        (Rank, Size) = (_mpi.Rank, _mpi.Size);
        var started = MpiEnvironment.ProcessesStarted();
        if (Size != started)
            throw new InputException($"{started} processes were started, and {_mpi.Version} sees {Size}: it was not told of the others; with Slurm say srun --mpi=pmix, and use the mpirun of the library that is loaded");
        _peers = [.. (Rank == 0 ? Enumerable.Range(1, Size - 1) : [0]).Select(rank => new MpiPeer(rank))];
        foreach (var peer in _peers) peer.Receive(_mpi);
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
    private void Call(Action job)
    {
        ObjectDisposedException.ThrowIf(_hasEnded, this);
        _job = job;
        _posted.Release();
        _done.Wait();
        if (_fault is { } fault)
        {
            _fault = null;
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(fault);
        }
    }

    /// <summary>MPI's thread.</summary>
    private void Serve()
    {
        try
        {
            while (!_hasEnded)
            {
                if (_posted.Wait(_peers.Length == 0 ? System.Threading.Timeout.InfiniteTimeSpan : Beat / 4)) Do();
                if (!_hasEnded) Watch();
            }
        }
        catch (Exception failure) when (failure is InputException or ObjectDisposedException)
        {
            if (_hasEnded) return;
            Say($"{Named(Rank)}: {failure.Message}");
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
        foreach (var peer in _peers)
        {
            while (peer.HasReceived(_mpi))
            {
                // All that have come.
            }

            if (_failure is { } own && Rank != 0)
            {
                if (peer.Send(_mpi, _failureCode, own)) _failure = null;
            }
            else if (peer.SinceSent >= Beat)
            {
                peer.Send(_mpi, 0, "");
            }

            if (peer.Reported is { } report && (_isBusy || Stopwatch.GetElapsedTime(peer.ReportedAt) > Patience))
            {
                // Where all ranks fail alike, rank 0 does too, and its line, without a rank's name, is the better one: it is given the time.
                Say($"{Named(peer.Rank)}: {report}");
                Abort(peer.Code);
            }

            if (peer.SinceHeard > _timeout)
            {
                Say(string.Create(CultureInfo.InvariantCulture, $"{Named(peer.Rank)} has not been heard of for {_timeout.TotalSeconds:0.#} seconds: it was stopped, or cut off the network; the run ends, and --resume goes on"));
                _lost ??= Stopwatch.GetTimestamp();
            }
        }

        // mpirun that finds out for itself that a machine was cut off ends; one that is told to end first waits for that machine.
        if (_lost is { } since && Stopwatch.GetElapsedTime(since) > Grace) Abort(1);
    }

    private void Say(string line)
    {
        lock (_speech)
        {
            if (_hasSpoken) return;
            _hasSpoken = true;
            _say(line);
        }
    }

    /// <summary>Ends all ranks. Where mpirun can't be reached MPI's own end may wait for it: this process then ends all the same.</summary>
    private void Abort(int code)
    {
        new Thread(() =>
        {
            Thread.Sleep(LastWait);
            Process.GetCurrentProcess().Kill();
        })
        { IsBackground = true }.Start();
        _mpi.Abort(code);
        Thread.Sleep(Timeout.Infinite);
    }
}
