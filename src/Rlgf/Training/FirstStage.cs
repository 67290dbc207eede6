using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Rollouts;
using Rlgf.Text.Data;

namespace Rlgf.Training;

/// <summary>The algorithm's own stage: the next prompts of the seeded order, each as often as its group is large, under the plan of the iteration.</summary>
/// <param name="setup">The run.</param>
internal sealed class FirstStage(TrainingSetup setup) : IWritingStage
{
    private const ulong PlanCoin = 0x706C616E; // "plan": keeps the coin apart from the rows' draws.

    private readonly ShuffledOrder _order = new(setup.Prompts.Count, setup.Seed);

    /// <inheritdoc/>
    public IReadOnlyList<RolloutPhase> Phases => setup.Algorithm.Phases;

    /// <inheritdoc/>
    public IReadOnlyList<PlannedRow> Draw(int iteration, Guidance guidance, IReadOnlyList<ScoredRow> rows)
    {
        var coin = RandomStream.Uniform(setup.Seed, RandomStream.Combine(PlanCoin, (ulong)iteration), 0);
        var (size, groups) = (setup.Algorithm.GroupSize, setup.RowsPerIteration / setup.Algorithm.GroupSize);
        return [.. from row in Enumerable.Range(0, groups * size)
            let prompt = setup.Prompts[_order.RowAt((long)iteration * groups + row / size)]
            select new PlannedRow(prompt, Plans.Of(setup.Algorithm, iteration, coin, guidance.Of(prompt)), Group: row / size) { Number = row }];
    }
}
