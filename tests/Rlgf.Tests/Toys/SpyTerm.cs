using Rlgf.Rollouts;
using Rlgf.Training;

namespace Rlgf.Tests.Toys;

/// <summary>Sees the rows that are learned from, and adds nothing to the loss.</summary>
internal sealed class SpyTerm : ILossTerm
{
    /// <summary>Those of the last iteration.</summary>
    public RolloutBatch? Last { get; private set; }

    /// <summary>[B][A]: their advantages.</summary>
    public float[][]? Advantages { get; private set; }

    public string Name => "spy";

    public TermOfRows? Prepare(LearningBatch data)
    {
        Last = data.Batch;
        Advantages = [.. data.Advantages.data<float>().ToArray().Chunk((int)data.Advantages.size(1))];
        return null;
    }
}
