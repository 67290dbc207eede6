using Rlgf.Base;

namespace Rlgf.Training;

/// <summary>What of an optimiser step is in memory at once: of an iteration's update, and of supervised training.</summary>
public abstract record StepMemorySettings
{
    /// <summary>Rows that are in memory at once; those of an optimiser step are split into such parts, of like length each, and their gradients are added up. 0: the whole step.</summary>
    [Limits(AtLeast = 0)]
    [MayChangeOnResume]
    public int RowsPerMicroBatch { get; init; }

    /// <summary>
    /// For a language model: response tokens whose logits are in memory at once; those of the others are computed part by part, and again for the gradient where the head is trained. 0: all; null: all where they take up to 128 MiB,
    /// else as many as take about 64 MiB, 320 at least. Gradients are the same to rounding.
    /// </summary>
    [Limits(AtLeast = 0)]
    [MayChangeOnResume]
    public int? PositionsPerPart { get; init; }

    /// <summary>For a language model: whether layers' activations are computed again for gradients instead of being kept: where memory is short, for up to a third more time a step (10 to 15 % measured). Results are the same.</summary>
    [MayChangeOnResume]
    public bool RecomputeActivations { get; init; }

    /// <summary>Rows of an optimiser step, in the parts that are in memory at once, from the shortest rows to the longest so that little of a part is padding; in their own order where there is one part.</summary>
    /// <param name="rows">The step's.</param>
    /// <param name="length">How many tokens of a row are read.</param>
    internal IEnumerable<T[]> InMicroBatches<T>(IReadOnlyCollection<T> rows, Func<T, int> length) =>
        RowsPerMicroBatch > 0 && RowsPerMicroBatch < rows.Count ? rows.OrderBy(length).Chunk(RowsPerMicroBatch) : rows.Chunk(Math.Max(1, rows.Count));
}
