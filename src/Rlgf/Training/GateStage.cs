using Rlgf.Algorithms;
using Rlgf.Rollouts;

namespace Rlgf.Training;

/// <summary>A further writing for the prompts of which no row succeeded (<see cref="GateSettings"/>).</summary>
/// <param name="setup">The run.</param>
/// <param name="gate">What is written.</param>
/// <param name="round">Which further writing of the iteration it is, from 1.</param>
internal sealed class GateStage(TrainingSetup setup, GateSettings gate, int round) : IWritingStage
{
    /// <summary>The further writings of a run's algorithm.</summary>
    /// <param name="setup">The run.</param>
    public static IEnumerable<IWritingStage> Of(TrainingSetup setup) =>
        setup.Algorithm.Gate is { } gate ? Enumerable.Range(1, gate.Rounds).Select(round => new GateStage(setup, gate, round)) : [];

    /// <inheritdoc/>
    public IReadOnlyList<RolloutPhase> Phases => [gate.Phase];

    /// <inheritdoc/>
    public IReadOnlyList<PlannedRow> Draw(int iteration, Guidance guidance, IReadOnlyList<ScoredRow> rows)
    {
        List<PlannedRow> planned = [];
        foreach (var group in rows.GroupBy(row => row.Rollout.Group))
        {
            var prompt = group.First().Rollout.Prompt;
            var known = guidance.Cuts?.Of(prompt.Id);
            if (!IsOpen([.. group], known)) continue;
            var first = planned.Count;
            var share = CutDraws.Share(gate.Cut, setup.Seed, iteration, setup.RowsPerIteration * round + group.Key, known, round);
            var plan = new RolloutPlan(Actor.Guide, Actor.Policy, 1, RollInLengths.Share, setup.Algorithm.GuideCredit, share);
            for (var row = 0; row < setup.Algorithm.GroupSize; row++) planned.Add(new(prompt, plan, group.Key) { SharedWith = row == 0 ? null : first });
        }
        return planned;
    }

    /// <inheritdoc/>
    public IReadOnlyList<ScoredRow> Join(IReadOnlyList<ScoredRow> rows, IReadOnlyList<ScoredRow> written)
    {
        if (gate.Rows == GateRows.Join) return [.. rows, .. written];
        var before = rows.ToLookup(row => row.Rollout.Group);
        var replaced = written.GroupBy(row => row.Rollout.Group).Where(group => group.Any(Succeeded) || !before[group.Key].Any(Succeeded)).Select(group => group.Key).ToHashSet();
        return [.. rows.Where(row => !replaced.Contains(row.Rollout.Group)), .. written.Where(row => replaced.Contains(row.Rollout.Group))];
    }

    /// <summary>Whether more is written for a prompt.</summary>
    private bool IsOpen(ScoredRow[] group, CutInterval? known)
    {
        if (gate.Cut.Rule != CutRule.Bisect || round == 1) return !group.Any(Succeeded);
        // A search goes on until a trial, the last that is there, is in the band, or nothing is left to halve.
        var last = group[^1].Rollout.Plan;
        var trial = group.Where(row => row.Rollout.Plan.CutsByShare && row.Rollout.Plan.Share == last.Share).ToArray();
        return trial.Length > 0 && !gate.Cut.IsInBand(ScoredRow.SuccessRate(trial, setup.Algorithm.SuccessReward)) && !gate.Cut.IsSettled(known!.Value);
    }

    private bool Succeeded(ScoredRow row) => row.Succeeded(setup.Algorithm.SuccessReward);
}
