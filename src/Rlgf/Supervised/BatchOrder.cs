using Rlgf.Base;
using Rlgf.Training;

namespace Rlgf.Supervised;

/// <summary>
/// Which examples make which step: each epoch is a random order of all of them, in which examples of like length share a batch, so that little is padding.
/// The batches of an epoch differ by one example at most. A pure function of (seed, step).
/// </summary>
internal sealed class BatchOrder(int examples, Func<int, int> length, int rowsPerBatch, ulong seed)
{
    /// <summary>Keeps the order's draws apart from others of the same seed ("batches" in ASCII).</summary>
    private const ulong Purpose = 0x62617463686573;

    /// <summary>Batches that are sorted by length together: enough for like lengths, few enough for a random order.</summary>
    private const int BatchesSortedTogether = 32;

    private int[][] _batches = [];
    private int _epoch = -1;

    public int BatchesPerEpoch { get; } = (examples + rowsPerBatch - 1) / rowsPerBatch;

    /// <summary>The examples of a step, counted from 0, and its epoch.</summary>
    public (int Epoch, int[] Examples) Batch(int step)
    {
        var (epoch, at) = Math.DivRem(step, BatchesPerEpoch);
        if (epoch != _epoch)
        {
            var random = new RandomStream(seed, RandomStream.Combine(Purpose, (ulong)epoch));
            var order = Enumerable.Range(0, examples).ToArray();
            random.Shuffle<int>(order);
            _batches = [.. SortedTogether(order)];
            random.Shuffle<int[]>(_batches);
            _epoch = epoch;
        }

        return (epoch, _batches[at]);
    }

    private IEnumerable<int[]> SortedTogether(int[] order)
    {
        var begin = 0;
        foreach (var sizes in EvenShares.Sizes(examples, rowsPerBatch).Chunk(BatchesSortedTogether))
        {
            var sorted = new Queue<int>(order[begin..(begin += sizes.Sum())].OrderBy(length));
            foreach (var size in sizes) yield return [.. Enumerable.Range(0, size).Select(_ => sorted.Dequeue())];
        }
    }
}
