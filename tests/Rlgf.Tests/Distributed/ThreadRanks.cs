using Rlgf.Distributed;

namespace Rlgf.Tests.Distributed;

/// <summary>Ranks that are threads of this process: what one gives, the others read from memory. A rank that fails ends all.</summary>
internal sealed class ThreadRanks : IDisposable
{
    private readonly Barrier _barrier;
    private readonly CancellationTokenSource _failed = new();
    private readonly byte[][] _given;
    private readonly string[] _operations;

    private ThreadRanks(int size) => (_barrier, _given, _operations) = (new(size), new byte[size][], new string[size]);

    /// <summary>Runs something on each rank, and gives what each returned.</summary>
    public static T[] Run<T>(int size, Func<ICommunicator, T> onRank)
    {
        if (size == 1) return [onRank(OneProcess.Alone)];
        using var ranks = new ThreadRanks(size);
        var (results, failures) = (new T[size], new Exception?[size]);
        Thread[] threads = [.. Enumerable.Range(0, size).Select(rank => new Thread(() =>
        {
            try
            {
                results[rank] = onRank(new OneOf(ranks, rank));
            }
#pragma warning disable CA1031 // It is thrown where the threads are waited for.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                failures[rank] = failure;
                ranks._barrier.RemoveParticipant();
                if (failure is not OperationCanceledException) ranks._failed.Cancel();
            }
        }))];
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        // What a rank failed by, rather than that others waited for it.
        if ((failures.FirstOrDefault(failure => failure is not (null or OperationCanceledException)) ?? failures.FirstOrDefault(failure => failure is not null)) is { } first)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(first);
        return results;
    }

    public void Dispose()
    {
        _barrier.Dispose();
        _failed.Dispose();
    }

    private byte[][] Exchange(int rank, string operation, byte[] own)
    {
        (_given[rank], _operations[rank]) = (own, operation);
        _barrier.SignalAndWait(_failed.Token);
        var all = _given.Select(bytes => bytes.ToArray()).ToArray();
        var operations = _operations.ToArray();
        // None may give the next before all have read this one.
        _barrier.SignalAndWait(_failed.Token);
        Assert.All(operations, other => Assert.Equal(operation, other));
        return all;
    }

    private sealed class OneOf(ThreadRanks ranks, int rank) : ICommunicator
    {
        private long _bytes;

        public int Rank => rank;

        public int Size => ranks._given.Length;

        public IReadOnlyList<string> Hosts { get; } = [.. Enumerable.Range(0, ranks._given.Length).Select(k => $"host{k}")];

        public CommunicationCost Cost => new(_bytes, 0);

        public void Sum(Span<float> values)
        {
            var bytes = new byte[values.Length * sizeof(float)];
            Buffer.BlockCopy(values.ToArray(), 0, bytes, 0, bytes.Length);
            var all = Array.ConvertAll(ranks.Exchange(rank, $"sum of {values.Length}", bytes), given =>
            {
                var floats = new float[given.Length / sizeof(float)];
                Buffer.BlockCopy(given, 0, floats, 0, given.Length);
                return floats;
            });
            for (var i = 0; i < values.Length; i++) values[i] = all.Skip(1).Aggregate(all[0][i], (sum, more) => sum + more[i]);
            _bytes += bytes.Length;
        }

        public byte[] Broadcast(byte[]? value) => ranks.Exchange(rank, "broadcast", rank == 0 ? value! : [])[0];

        public byte[][] Gather(byte[] value) => ranks.Exchange(rank, "gather", value);
    }
}
