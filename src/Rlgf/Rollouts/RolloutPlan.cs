using Rlgf.Base;

namespace Rlgf.Rollouts;

/// <summary>Who writes, or wrote, response tokens.</summary>
public enum Actor
{
    /// <summary>The model being trained, π_θ.</summary>
    Policy,

    /// <summary>The fixed source of continuations, π_g.</summary>
    Guide,
}

/// <summary>How the roll-in's length r is drawn, given what the roll-in actor wrote (L tokens, at most H = the response limit).</summary>
public enum RollInLengths
{
    /// <summary>r uniform in {1, …, L-1}, 0 if L &lt; 2. The default for guide roll-ins, and what the published code uses for both actors.</summary>
    Inside,

    /// <summary>r = min(u, L), u uniform in {1, …, H} drawn without a look at the text. The default for policy roll-ins: stopping is trained, and a constant error of the critic cancels.</summary>
    Limit,

    /// <summary>r = u if u ≤ L, else 0, u as in <see cref="Limit"/>; only token r-1 is credited. The paper's equation: one action of the policy, then the guide.</summary>
    Exact,

    /// <summary>r = ⌊ρ · L⌋ of the L tokens of the guide's text, its end token not counted; the share ρ is drawn by <see cref="RolloutPhase.Cut"/>. For guide roll-ins.</summary>
    Share,

    /// <summary>r = L, the end token included: the guide's whole answer, of which nothing is left to the policy. For guide roll-ins.</summary>
    Whole,
}

/// <summary>What rows to one prompt have in common.</summary>
public enum RollInScope
{
    /// <summary>Nothing: each row has a coin, a length and a text of the guide of its own.</summary>
    Row,

    /// <summary>All: one draw for the whole group, which then starts from one state.</summary>
    Group,
}

/// <summary>One kind of rollout: who begins, who finishes, how often and how long.</summary>
/// <param name="RollIn">Who writes the roll-in.</param>
/// <param name="RollOut">Who writes the rest.</param>
/// <param name="RollInProbability">β.</param>
/// <param name="Lengths">How the roll-in's length is drawn.</param>
/// <param name="Cut">For the lengths <c>share</c>, which must have it: how the share of the guide's text is drawn.</param>
public sealed record RolloutPhase(Actor RollIn, Actor RollOut, [Limits(AtLeast = 0, AtMost = 1)] double RollInProbability, RollInLengths Lengths, CutSettings? Cut = null)
{
    /// <summary>Whether the guide may be asked for anything.</summary>
    public bool NeedsGuide => new RolloutPlan(RollIn, RollOut, RollInProbability, Lengths).NeedsGuide;

    /// <summary>Whether responses may begin with the guide's text.</summary>
    internal bool BeginsWithGuide => this is { RollIn: Actor.Guide, RollInProbability: > 0 };
}

/// <summary>
/// How one row is written. The five algorithms of the paper (section 4) and our own differ in nothing else; which tokens train what follows from it:
/// the policy loss falls on the tokens that the policy wrote, the value loss on the tokens of the roll-out, and the critic is that of the roll-out actor.
/// </summary>
/// <param name="RollIn">Who writes the first r tokens.</param>
/// <param name="RollOut">Who writes the rest.</param>
/// <param name="RollInProbability">β: probability that a row has a roll-in; otherwise r = 0 and the roll-out starts from the prompt.</param>
/// <param name="Lengths">How r is drawn where there is a roll-in.</param>
/// <param name="GuideCredit">c: weight of the loss on the guide's tokens; 0 trains nothing on them.</param>
/// <param name="Share">ρ, for <see cref="RollInLengths.Share"/>: the share of the guide's text that is kept. At 0 the guide is not asked.</param>
public readonly record struct RolloutPlan(Actor RollIn, Actor RollOut, double RollInProbability, RollInLengths Lengths, double GuideCredit = 0, double Share = 0)
{
    /// <summary>Whether the guide may be asked for anything.</summary>
    public bool NeedsGuide => RollOut == Actor.Guide || (RollIn == Actor.Guide && RollInProbability > 0);

    /// <summary>Whether this row's roll-in is the share of the guide's text that the plan says.</summary>
    public bool CutsByShare => this is { RollIn: Actor.Guide, Lengths: RollInLengths.Share };

    /// <summary>The same for a row that the policy writes alone.</summary>
    public RolloutPlan ByPolicyAlone() => this with { RollIn = Actor.Policy, RollOut = Actor.Policy, RollInProbability = 0 };

    /// <summary>Whether the policy loss falls on the roll-in's last token alone: <see cref="RollInLengths.Exact"/> where the guide finishes what the policy began.</summary>
    public bool TrainsLastOfRollIn => this is { RollIn: Actor.Policy, RollOut: Actor.Guide, Lengths: RollInLengths.Exact };
}
