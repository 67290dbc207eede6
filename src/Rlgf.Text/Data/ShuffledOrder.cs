using Rlgf.Base;

namespace Rlgf.Text.Data;

/// <summary>
/// An endless, seeded order of a data set's rows: each epoch is a permutation of all rows, drawn anew. Which row comes at a position is a pure function of
/// (count, seed, position), so a position is all that a resume needs.
/// </summary>
/// <remarks>Epoch e is shuffled by the <see cref="RandomStream"/> of the seed whose stream is e (Fisher–Yates). Not for several threads at once.</remarks>
public sealed class ShuffledOrder
{
    /// <summary>Keeps the order's draws apart from others of the same seed ("shuffle" in ASCII).</summary>
    private const ulong Purpose = 0x73687566666C65;

    private readonly ulong _seed;
    private readonly int[] _rows;
    private long _shuffledEpoch = -1;

    /// <summary>Creates the order at a position.</summary>
    /// <param name="count">Number of rows, at least 1.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="position">How many rows were taken before; a <see cref="Position"/> that was stored goes on there.</param>
    public ShuffledOrder(int count, ulong seed, long position = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        _seed = seed;
        _rows = new int[count];
        Position = position;
    }

    /// <summary>How many rows were taken: what a checkpoint stores.</summary>
    public long Position { get; private set; }

    /// <summary>How many times all rows were taken.</summary>
    public long Epoch => Position / _rows.Length;

    /// <summary>Index of the next row, in [0, count).</summary>
    public int Next() => RowAt(Position++);

    /// <summary>Indices of the next rows; an epoch may end among them.</summary>
    public int[] Next(int rows)
    {
        var taken = new int[rows];
        for (var i = 0; i < rows; i++)
        {
            taken[i] = Next();
        }

        return taken;
    }

    /// <summary>Index of the row at any position, without moving.</summary>
    public int RowAt(long position)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        var (epoch, at) = Math.DivRem(position, _rows.Length);
        if (epoch != _shuffledEpoch)
        {
            for (var i = 0; i < _rows.Length; i++)
            {
                _rows[i] = i;
            }

            new RandomStream(_seed, RandomStream.Combine(Purpose, (ulong)epoch)).Shuffle<int>(_rows);
            _shuffledEpoch = epoch;
        }

        return _rows[at];
    }
}
