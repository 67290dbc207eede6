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
        var (algorithm, size) = (setup.Algorithm, setup.Algorithm.GroupSize);
        var (phase, groups) = (Plans.PhaseOf(algorithm, iteration, coin, guidance.HasSwitched), setup.RowsPerIteration / size);
        return [.. from row in Enumerable.Range(0, groups * size)
            let prompt = setup.Prompts[_order.RowAt((long)iteration * groups + row / size)]
            // The last of a group, so that the first row says what the iteration's plan is.
            let isGuides = row % size >= size - algorithm.GuideRows
            let shared = !isGuides && algorithm.RollInScope == RollInScope.Group ? row / size * size : row
            let plan = isGuides ? new RolloutPlan(Actor.Guide, Actor.Policy, 1, RollInLengths.Whole, algorithm.GuideCredit) : Plans.Of(algorithm, iteration, coin, guidance.Of(prompt), guidance.HasSwitched) with { Share = phase.Cut is { } cut ? CutDraws.Share(cut, setup.Seed, iteration, shared, guidance.Cuts?.Of(prompt.Id)) : 0 }
            select new PlannedRow(prompt, plan, Group: row / size) { Number = row, SharedWith = shared == row ? null : shared }];
    }
}
