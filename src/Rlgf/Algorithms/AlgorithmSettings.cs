using Rlgf.Lessons;
using Rlgf.Losses;
using Rlgf.Rollouts;

namespace Rlgf.Algorithms;

/// <summary>How advantages are estimated.</summary>
public enum AdvantageEstimator
{
    /// <summary>GAE(γ, λ) with the critic of the roll-out actor.</summary>
    Gae,

    /// <summary>Reward relative to the mean of the prompt's group, divided by the group's standard deviation; no critic. Shao et al. 2024 (arXiv 2402.03300).</summary>
    Grpo,

    /// <summary>Reward relative to the mean of the group's other responses; no critic. Ahmadian et al. 2024 (arXiv 2402.14740).</summary>
    Rloo,
}

/// <summary>How the plan of an iteration is chosen.</summary>
public enum PlanSchedule
{
    /// <summary>Always the first phase.</summary>
    Constant,

    /// <summary>One coin an iteration: the first phase with probability <see cref="AlgorithmSettings.FirstProbability"/>, else the second (LOLS).</summary>
    Coin,

    /// <summary>The first phase before iteration <see cref="AlgorithmSettings.SwitchIteration"/>, then the second (D²LOLS).</summary>
    Switch,
}

/// <summary>
/// An algorithm as data on independent axes: the phases (roll-in actor, its length and probability, roll-out actor), the schedule over them, the advantage
/// estimator, and the loss on the guide's tokens. The loss on the policy's tokens is always the clipped one. <see cref="Presets"/> has the named ones.
/// </summary>
public sealed record AlgorithmSettings
{
    /// <summary>Name for logs and reports.</summary>
    public required string Name { get; init; }

    /// <summary>The only phase, or the first of two.</summary>
    public required RolloutPhase First { get; init; }

    /// <summary>The second phase of a <see cref="PlanSchedule.Coin"/> or <see cref="PlanSchedule.Switch"/>; null for <see cref="PlanSchedule.Constant"/>.</summary>
    public RolloutPhase? Second { get; init; }

    /// <summary>How the phase of an iteration is chosen.</summary>
    public PlanSchedule Schedule { get; init; }

    /// <summary>For <see cref="PlanSchedule.Coin"/>: probability of the first phase.</summary>
    public double FirstProbability { get; init; } = 0.8;

    /// <summary>For <see cref="PlanSchedule.Switch"/>: the iteration that is the second phase's first (the paper's α).</summary>
    public int SwitchIteration { get; init; }

    /// <summary>The phases that the schedule can choose.</summary>
    public IReadOnlyList<RolloutPhase> Phases => Second is { } second && Schedule != PlanSchedule.Constant ? [First, second] : [First];

    /// <summary>How advantages are estimated.</summary>
    public AdvantageEstimator Advantage { get; init; }

    /// <summary>Responses to each prompt; at least 2 for <see cref="AdvantageEstimator.Grpo"/> and <see cref="AdvantageEstimator.Rloo"/>.</summary>
    public int GroupSize { get; init; } = 1;

    /// <summary>γ: discount a token.</summary>
    public double Gamma { get; init; } = 1;

    /// <summary>λ of GAE.</summary>
    public double Lambda { get; init; } = 0.95;

    /// <summary>c: weight of the loss on the guide's tokens; 0 for none.</summary>
    public double GuideCredit { get; init; }

    /// <summary>What that loss weighs tokens by.</summary>
    public GuideCreditWeight GuideCreditWeight { get; init; }

    /// <summary>Whether β and c are scaled by the measured gap between guide and policy (adaptive guidance, version one).</summary>
    public bool ScaleByGap { get; init; }

    /// <summary>How responses that were better than expected are remembered and learned from (adaptive guidance); null for none.</summary>
    public LessonSettings? Lessons { get; init; }

    /// <summary>Whether roll-ins are the beginnings of the data's references and of nothing else (dataset reset): a guide that writes itself is refused.</summary>
    public bool NeedsReferences { get; init; }

    /// <summary>Whether the guide's whole responses are scored, of which rows keep the beginning.</summary>
    public bool ComparesAnswers => ScaleByGap || Lessons is not null;

    /// <summary>Whether the guide is asked for less than the phases say, by what it is worth.</summary>
    public bool ScalesGuide => ScaleByGap || Lessons is { ScalesGuide: true };
}
