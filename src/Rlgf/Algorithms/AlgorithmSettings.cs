using Rlgf.Advantages;
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

    /// <summary>The discounted return from the token on, penalty included, without anything to compare it with; no critic. Hu 2025, REINFORCE++ (arXiv 2501.03262), which whitens it.</summary>
    Reinforce,
}

/// <summary>What becomes of groups in which every response has the same reward.</summary>
public enum EqualGroups
{
    /// <summary>They stay: their advantages are 0, and their tokens count where losses are divided.</summary>
    Keep,

    /// <summary>Their rows are left out of the update, as if they had not been written: "dynamic sampling" (Yu et al. 2025, DAPO, arXiv 2503.14476, section 3.2) without the sampling anew.</summary>
    LeaveOut,
}

/// <summary>How the responses to one prompt are compared.</summary>
public sealed record GroupSettings
{
    /// <summary>What distances are divided by; null: the estimator's own (<c>group_deviation</c> for <c>grpo</c>, <c>none</c> for <c>rloo</c>).</summary>
    public GroupScaling? Scaling { get; init; }

    /// <summary>ε, added to the deviation.</summary>
    public double Epsilon { get; init; } = 1e-4;

    /// <summary>What becomes of groups of equal rewards.</summary>
    public EqualGroups Equal { get; init; }

    /// <summary>Whose rewards the mean and the deviation of a group are.</summary>
    public GroupBaseline Baseline { get; init; }
}

/// <summary>Whose rewards the mean and the deviation of a group are.</summary>
public enum GroupBaseline
{
    /// <summary>Those of all its rows, whoever wrote them.</summary>
    Mixed,

    /// <summary>Those of the rows that the policy wrote alone, with which the others are compared too; of all where there is none.</summary>
    Unguided,
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
/// estimator, the loss on the policy's tokens and that on the guide's. <see cref="Presets"/> has the named ones.
/// </summary>
public sealed record AlgorithmSettings
{
    /// <summary>The name of an algorithm whose phases a recipe says.</summary>
    internal const string Custom = "custom";

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

    /// <summary>
    /// For <see cref="PlanSchedule.Switch"/>: the measured gap between guide and policy, in the reward's unit, at which the second phase begins before that iteration; null for the iteration alone. Ours: what the guide's endings are
    /// worth over the policy's own is what the first phase can teach.
    /// </summary>
    public double? SwitchAtGap { get; init; }

    /// <summary>m: rows of each group that are a whole answer of the guide.</summary>
    public int GuideRows { get; init; }

    /// <summary>What is written again for prompts of which no row succeeded; null for nothing.</summary>
    public GateSettings? Gate { get; init; }

    /// <summary>A row succeeded from this reward on: for the gate, and for cuts that follow the success of a prompt.</summary>
    public double SuccessReward { get; init; } = 1;

    /// <summary>The phases that the schedule can choose.</summary>
    internal IReadOnlyList<RolloutPhase> ScheduledPhases => Second is { } second && Schedule != PlanSchedule.Constant ? [First, second] : [First];

    /// <summary>The phases that a row may have: those that the schedule can choose, then that of the guide's rows, then that of the gate.</summary>
    public IReadOnlyList<RolloutPhase> Phases =>
        [.. ScheduledPhases, .. new[] { GuideRows > 0 ? new(Actor.Guide, Actor.Policy, 1, RollInLengths.Whole) : null, Gate?.Phase }.OfType<RolloutPhase>()];

    /// <summary>The cut that knows something of each prompt; null for none.</summary>
    public CutSettings? CutWithState => Phases.Select(phase => phase.Cut).FirstOrDefault(cut => cut is { HasState: true });

    /// <summary>Whether it matters which rows succeeded.</summary>
    public bool CountsSuccesses => Gate is not null || CutWithState is not null;

    /// <summary>How advantages are estimated.</summary>
    public AdvantageEstimator Advantage { get; init; }

    /// <summary>Responses to each prompt; at least 2 where they are compared.</summary>
    public int GroupSize { get; init; } = 1;

    /// <summary>How they are compared, by an estimator that does.</summary>
    public GroupSettings Groups { get; init; } = new();

    /// <summary>What distances in a group are divided by.</summary>
    public GroupScaling GroupScaling => Groups.Scaling ?? (Advantage == AdvantageEstimator.Grpo ? GroupScaling.GroupDeviation : GroupScaling.None);

    /// <summary>Whether a critic is needed.</summary>
    public bool HasCritic => Advantage == AdvantageEstimator.Gae;

    /// <summary>Whether responses to one prompt are compared.</summary>
    public bool ComparesGroups => Advantage is AdvantageEstimator.Grpo or AdvantageEstimator.Rloo;

    /// <summary>The loss on what the policy chose, where the update's settings say nothing else.</summary>
    public PolicyLossSettings PolicyLoss { get; init; } = new();

    /// <summary>Whether advantages are whitened, where the update's settings say nothing else.</summary>
    public bool WhitensAdvantages { get; init; }

    /// <summary>Coefficient of the KL penalty, where its settings say nothing else.</summary>
    public double KlCoefficient { get; init; } = 0.05;

    /// <summary>What the rows to one prompt have in common of the guide's roll-in.</summary>
    public RollInScope RollInScope { get; init; }

    /// <summary>γ: discount a token.</summary>
    public double Gamma { get; init; } = 1;

    /// <summary>λ of GAE.</summary>
    public double Lambda { get; init; } = 0.95;

    /// <summary>c: weight of the loss on the guide's tokens; 0 for none.</summary>
    public double GuideCredit { get; init; }

    /// <summary>What that loss weighs tokens by.</summary>
    public GuideCreditWeight GuideCreditWeight { get; init; }

    /// <summary>What of a token's probability it makes larger.</summary>
    public GuideCreditShape GuideCreditShape { get; init; }

    /// <summary>γ of <see cref="GuideCreditShape.Shaped"/>.</summary>
    public double GuideCreditGamma { get; init; } = 0.1;

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
