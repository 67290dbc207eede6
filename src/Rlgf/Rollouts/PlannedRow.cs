using Rlgf.Prompts;
using Rlgf.Rewards;

namespace Rlgf.Rollouts;

/// <summary>A row to write.</summary>
/// <param name="Prompt">What is answered.</param>
/// <param name="Plan">Who writes which part of the response.</param>
/// <param name="Group">
/// Names what the row is compared with where advantages are relative to a group: rows of one draw of a prompt bear the same number, wherever they lie and whatever was added to the prompt.
/// </param>
public sealed record PlannedRow(Prompt Prompt, RolloutPlan Plan, int Group)
{
    /// <summary>The row's place among all that the iteration writes, from 0: with seed and iteration it names the row's random numbers.</summary>
    public int Number { get; init; }

    /// <summary>Number of the row whose coin, length and guide's text this one has too, which answers the same prompt; null for its own.</summary>
    public int? SharedWith { get; init; }

    /// <summary>Names the random numbers of its roll-in.</summary>
    internal int RollInNumber => SharedWith ?? Number;
}

/// <summary>A row that was written and scored.</summary>
/// <param name="Rollout">The row.</param>
/// <param name="Score">What the reward says of it.</param>
public sealed record ScoredRow(Rollout Rollout, RewardScore Score)
{
    /// <summary>Whether it succeeded.</summary>
    /// <param name="successReward">From which reward on a row does.</param>
    internal bool Succeeded(double successReward) => Score.Return >= successReward;

    /// <summary>The share of some rows, at least one, that succeeded.</summary>
    internal static double SuccessRate(IEnumerable<ScoredRow> rows, double successReward) => rows.Average(row => row.Succeeded(successReward) ? 1.0 : 0);
}

/// <summary>
/// One stage of an iteration: what to write, given what was written and scored before. The first draws prompts under the algorithm's plan; another may write again for some prompts, in another way.
/// </summary>
public interface IWritingStage
{
    /// <summary>The phases that its rows may have: they decide which critics there are and whether a guide is needed.</summary>
    IReadOnlyList<RolloutPhase> Phases { get; }

    /// <summary>The rows to write. A function of what is given: it is asked again when a run goes on, and may be asked before the iteration begins.</summary>
    /// <param name="iteration">From 0.</param>
    /// <param name="guidance">By how much less than planned the guide is asked; <see cref="Guidance.Full"/> where the algorithm isn't scaled.</param>
    /// <param name="rows">The iteration's rows so far; empty for the first stage.</param>
    /// <returns>Any number of rows; none where there is nothing to write.</returns>
    IReadOnlyList<PlannedRow> Draw(int iteration, Guidance guidance, IReadOnlyList<ScoredRow> rows);

    /// <summary>The iteration's rows after this stage: all, unless the stage replaces some.</summary>
    /// <param name="rows">The rows before it.</param>
    /// <param name="written">Those of this stage.</param>
    IReadOnlyList<ScoredRow> Join(IReadOnlyList<ScoredRow> rows, IReadOnlyList<ScoredRow> written) => [.. rows, .. written];
}
