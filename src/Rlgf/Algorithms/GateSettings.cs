using Rlgf.Rollouts;

namespace Rlgf.Algorithms;

/// <summary>What becomes of a group's rows when others are written for the same prompt.</summary>
public enum GateRows
{
    /// <summary>The new rows take their place: a group starts from one state. The old ones are kept only where one of them succeeded and none of the new ones did.</summary>
    Replace,

    /// <summary>The new rows join them: the group is compared over all, whatever each began with.</summary>
    Join,
}

/// <summary>
/// Further writing for prompts of which no row succeeded: as many rows again, which begin with a share of the guide's text. Prompts with a success cost nothing, and every token that is written counts.
/// </summary>
/// <param name="Cut">How the share is drawn; one for all rows to a prompt.</param>
/// <param name="Rounds">The most further writings of an iteration: each is for the prompts that the one before it did not settle.</param>
/// <param name="Rows">What becomes of the rows that failed.</param>
public sealed record GateSettings(CutSettings Cut, int Rounds = 1, GateRows Rows = GateRows.Replace)
{
    /// <summary>The phase of its rows.</summary>
    public RolloutPhase Phase => new(Actor.Guide, Actor.Policy, 1, RollInLengths.Share, Cut);
}
