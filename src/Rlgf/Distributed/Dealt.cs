using System.Text;

namespace Rlgf.Distributed;

/// <summary>
/// Work on rows that is dealt among ranks by the rows' groups: group g is done by rank g mod W, and all ranks get all results, so that what follows sees the whole batch wherever it runs. With one process the work is done as it stands.
/// </summary>
internal static class Dealt
{
    /// <summary>Places of the rows that a rank works on, in their order.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="groups">The group of each row.</param>
    /// <param name="rank">Whose; null for this one's.</param>
    public static int[] Places(ICommunicator ranks, IReadOnlyList<int> groups, int? rank = null) =>
        [.. Enumerable.Range(0, groups.Count).Where(row => groups[row] % ranks.Size == (rank ?? ranks.Rank))];

    /// <summary>Does the work of this rank's rows, and gives the results of all.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="groups">The group of each of the B rows, the same on all ranks.</param>
    /// <param name="work">From places of rows, at least one, to a result for each.</param>
    /// <param name="write">Writes a result.</param>
    /// <param name="read">Reads what <paramref name="write"/> wrote.</param>
    /// <returns>B results.</returns>
    /// <exception cref="OperationCanceledException">One of the ranks was asked to stop while it worked: all end here.</exception>
    public static IReadOnlyList<T> Of<T>(ICommunicator ranks, IReadOnlyList<int> groups, Func<int[], IReadOnlyList<T>> work, Action<BinaryWriter, T> write, Func<BinaryReader, T> read)
    {
        if (ranks.Size == 1) return groups.Count == 0 ? [] : work([.. Enumerable.Range(0, groups.Count)]);
        var own = Places(ranks, groups);
        var all = Answers(ranks, () => own.Length == 0 ? [] : Bytes(writer =>
        {
            foreach (var result in work(own)) write(writer, result);
        }));
        var results = new T[groups.Count];
        for (var rank = 0; rank < ranks.Size; rank++)
        {
            using var reader = Reader(all[rank]);
            foreach (var place in Places(ranks, groups, rank)) results[place] = read(reader);
        }

        return results;
    }

    /// <summary>Lets rank 0 alone do something, and gives all ranks what came of it.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="work">Called on rank 0.</param>
    /// <param name="write">Writes the result.</param>
    /// <param name="read">Reads what <paramref name="write"/> wrote.</param>
    /// <exception cref="OperationCanceledException">One of the ranks was asked to stop meanwhile.</exception>
    public static T ByFirst<T>(ICommunicator ranks, Func<T> work, Action<BinaryWriter, T> write, Func<BinaryReader, T> read)
    {
        if (ranks.Size == 1) return work();
        using var reader = Reader(Answers(ranks, () => ranks.Rank != 0 ? [] : Bytes(writer => write(writer, work())))[0]);
        return read(reader);
    }

    /// <summary>Stops all ranks where one of them was asked to.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="cancellationToken">This rank's.</param>
    /// <exception cref="OperationCanceledException">One of them was asked to stop.</exception>
    public static void ThrowIfStopped(ICommunicator ranks, CancellationToken cancellationToken)
    {
        if (ranks.Size == 1) cancellationToken.ThrowIfCancellationRequested();
        else Answers(ranks, () => cancellationToken.IsCancellationRequested ? throw new OperationCanceledException(cancellationToken) : []);
    }

    /// <summary>Numbers of all ranks, one after another.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="own">This rank's; each may have another number of them.</param>
    public static double[] Numbers(ICommunicator ranks, double[] own)
    {
        if (ranks.Size == 1) return own;
        return [.. ranks.Gather(Bytes(writer => Array.ForEach(own, writer.Write))).SelectMany(bytes => System.Runtime.InteropServices.MemoryMarshal.Cast<byte, double>(bytes).ToArray())];
    }

    /// <summary>What a writer writes.</summary>
    internal static byte[] Bytes(Action<BinaryWriter> write)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        write(writer);
        writer.Flush();
        return stream.ToArray();
    }

    internal static BinaryReader Reader(byte[] bytes) => new(new MemoryStream(bytes), Encoding.UTF8);

    /// <summary>What each rank's work gave. A stop of one is a stop of all, at the same place: otherwise those that go on would wait for it.</summary>
    private static byte[][] Answers(ICommunicator ranks, Func<byte[]> work)
    {
        OperationCanceledException? stopped = null;
        byte[] answer = [];
        try
        {
            answer = work();
        }
        catch (OperationCanceledException stop)
        {
            stopped = stop;
        }

        var all = ranks.Gather([stopped is null ? (byte)0 : (byte)1, .. answer]);
        if (Array.Exists(all, bytes => bytes[0] != 0)) throw stopped ?? new OperationCanceledException("another rank was asked to stop");
        return Array.ConvertAll(all, bytes => bytes[1..]);
    }
}
