using Rlgf.Advantages;
using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Lessons;
using Rlgf.Losses;
using Rlgf.Rollouts;

namespace Rlgf.Recipes;

/// <summary>Whether the guide's share is scaled by how much it is worth.</summary>
public enum GapScale
{
    /// <summary>By what was measured: the gap between guide and policy, or how much each teaches.</summary>
    Measured,

    /// <summary>Never: g = 1.</summary>
    One,
}

/// <summary>An algorithm by name, and what to change of it. A key left out, or null, is the algorithm's own.</summary>
public record AlgorithmSection : ICheckedSection, IKnowsKinds
{
    /// <summary>The algorithm.</summary>
    public required string Name { get; init; }

    /// <summary>β: probability that a row has a roll-in.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? RollInProbability { get; init; }

    /// <summary>How a roll-in's length is drawn, in every phase.</summary>
    public RollInLengths? RollInLengths { get; init; }

    /// <summary>Whether rows to one prompt share the coin, the length and the guide's text of the roll-in.</summary>
    public RollInScope? RollInScope { get; init; }

    /// <summary>For <c>roll_in_lengths: share</c>: how the share of the guide's text is drawn.</summary>
    public CutSettings? Cut { get; init; }

    /// <summary>m: how many of a prompt's rows are a whole answer of the guide.</summary>
    [Limits(AtLeast = 0)]
    public int? GuideRows { get; init; }

    /// <summary>What is written again for prompts of which no row succeeded.</summary>
    public GateSection? Gate { get; init; }

    /// <summary>From which reward on a row succeeded: for <c>gate</c>, and for the cut rules <c>interval</c> and <c>bisect</c>.</summary>
    public double? SuccessReward { get; init; }

    /// <summary>For <c>lols</c>: probability of the phase in which the policy rolls out.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? PolicyProbability { get; init; }

    /// <summary>For <c>d2lols</c>, which must have it: the first iteration of PPO++ (the paper's α).</summary>
    [Limits(AtLeast = 0)]
    public int? SwitchIteration { get; init; }

    /// <summary>For algorithms that switch: the measured gap between guide and policy, in the reward's unit, at which the second phase begins before that iteration, such as 0; null for the iteration alone. Needs <c>guide_worth</c>.</summary>
    public double? SwitchAtGap { get; init; }

    /// <summary>How advantages are estimated.</summary>
    public AdvantageEstimator? Advantage { get; init; }

    /// <summary>Responses to each prompt.</summary>
    [Limits(AtLeast = 1)]
    public int? GroupSize { get; init; }

    /// <summary>How the responses to one prompt are compared.</summary>
    public GroupsSection Groups { get; init; } = new();

    /// <summary>γ: discount a token.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? Gamma { get; init; }

    /// <summary>λ of generalised advantage estimation.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? Lambda { get; init; }

    /// <summary>The loss on the guide's tokens.</summary>
    public GuideCreditSection GuideCredit { get; init; } = new();

    /// <summary>What is remembered because it was better than expected.</summary>
    public LessonsSection Lessons { get; init; } = new();

    /// <summary>For <c>custom</c>: how the phase of an iteration is chosen.</summary>
    public PlanSchedule? Schedule { get; init; }

    /// <summary>For <c>custom</c>: the only phase, or the first.</summary>
    public RolloutPhase? First { get; init; }

    /// <summary>For <c>custom</c>: the second phase.</summary>
    public RolloutPhase? Second { get; init; }

    PartKinds IKnowsKinds.Kinds { set => Kinds = value; }

    private PartKinds Kinds { get; set; } = PartKinds.BuiltIn;

    /// <summary>The algorithm as the loop takes it.</summary>
    public AlgorithmSettings ToSettings()
    {
        var preset = Kinds.Algorithms.Make(this);
        var hasRollIns = HasRollIns(preset);
        return preset with
        {
            First = Changed(preset.First, hasRollIns),
            Second = preset.Second is { } second ? Changed(second, hasRollIns) : null,
            FirstProbability = PolicyProbability ?? preset.FirstProbability,
            SwitchIteration = SwitchIteration ?? preset.SwitchIteration,
            SwitchAtGap = SwitchAtGap ?? preset.SwitchAtGap,
            Advantage = Advantage ?? preset.Advantage,
            GroupSize = GroupSize ?? preset.GroupSize,
            // Another estimator divides in its own way.
            Groups = Groups.Of((Advantage ?? preset.Advantage) == preset.Advantage ? preset.Groups : preset.Groups with { Scaling = null }),
            RollInScope = RollInScope ?? preset.RollInScope,
            GuideRows = GuideRows ?? preset.GuideRows,
            Gate = Gate is { } gate ? gate.Over(preset.Gate) : preset.Gate,
            SuccessReward = SuccessReward ?? preset.SuccessReward,
            Gamma = Gamma ?? preset.Gamma,
            Lambda = Lambda ?? preset.Lambda,
            GuideCredit = GuideCredit.Coefficient ?? preset.GuideCredit,
            GuideCreditWeight = GuideCredit.Weight ?? preset.GuideCreditWeight,
            GuideCreditShape = GuideCredit.Shape ?? preset.GuideCreditShape,
            GuideCreditGamma = GuideCredit.Gamma ?? preset.GuideCreditGamma,
            ScaleByGap = GuideCredit.Gap is { } gap ? gap == GapScale.Measured : preset.ScaleByGap,
            Lessons = Lessons.Of(preset.Lessons),
        };
    }

    /// <summary>The section with the algorithm's own values filled in. The lengths of two phases that differ stay null.</summary>
    public AlgorithmSection Resolved()
    {
        var settings = ToSettings();
        var preset = Kinds.Algorithms.Make(this);
        var hasRollIns = HasRollIns(preset);
        return this with
        {
            RollInProbability = hasRollIns ? settings.First.RollInProbability : null,
            RollInLengths = hasRollIns && settings.ScheduledPhases.Where(HasRollIns).Select(phase => phase.Lengths).Distinct().ToArray() is [var lengths] ? lengths : null,
            RollInScope = settings.GroupSize > 1 && settings.ScheduledPhases.Any(phase => phase.BeginsWithGuide) ? settings.RollInScope : null,
            GuideRows = settings.GuideRows > 0 || preset.GuideRows > 0 ? settings.GuideRows : null,
            Gate = settings.Gate is { } gate ? new() { Rounds = gate.Rounds, Rows = gate.Rows, Cut = gate.Cut } : null,
            SuccessReward = settings.CountsSuccesses ? settings.SuccessReward : null,
            Cut = hasRollIns ? settings.ScheduledPhases.Select(phase => phase.Cut).FirstOrDefault(cut => cut is not null) : null,
            PolicyProbability = settings.Schedule == PlanSchedule.Coin ? settings.FirstProbability : null,
            SwitchIteration = settings.Schedule == PlanSchedule.Switch ? settings.SwitchIteration : null,
            SwitchAtGap = settings.SwitchAtGap,
            Advantage = settings.Advantage,
            GroupSize = settings.GroupSize,
            Groups = GroupsSection.Of(settings),
            Gamma = settings.ComparesGroups ? null : settings.Gamma,
            Lambda = settings.HasCritic ? settings.Lambda : null,
            GuideCredit = new GuideCreditSection
            {
                Coefficient = settings.GuideCredit,
                Weight = settings.GuideCreditWeight,
                Shape = settings.GuideCredit > 0 ? settings.GuideCreditShape : null,
                Gamma = settings is { GuideCredit: > 0, GuideCreditShape: GuideCreditShape.Shaped } ? settings.GuideCreditGamma : null,
                Gap = settings.ScaleByGap ? GapScale.Measured : GapScale.One,
            },
            Lessons = LessonsSection.Of(settings),
            Schedule = Name == AlgorithmSettings.Custom ? settings.Schedule : null,
        };
    }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        var (name, isCustom) = (Name, Name == AlgorithmSettings.Custom);
        var preset = Kinds.Algorithms.Make(this);
        var hasRollIns = HasRollIns(preset);
        var schedule = preset.Schedule;
        if (!hasRollIns && RollInProbability is not null) yield return ("roll_in_probability", isCustom ? "a custom algorithm sets it in its phases" : $"'{name}' has no roll-ins");
        if (!hasRollIns && RollInLengths is not null) yield return ("roll_in_lengths", isCustom ? "a custom algorithm sets lengths in its phases" : $"'{name}' has no roll-ins");
        if (Cut is not null && !hasRollIns) yield return ("cut", isCustom ? "a custom algorithm sets it in its phases" : $"'{name}' has no roll-ins");
        if (Cut is not null && hasRollIns && !ToSettings().ScheduledPhases.Any(phase => phase.Cut is not null))
            yield return ("cut", $"the roll-ins of '{name}' are not cut by a share of the guide's text; set roll_in_lengths: share too, or leave it out");
        if (GuideCredit.Gamma is not null && (GuideCredit.Shape ?? preset.GuideCreditShape) != GuideCreditShape.Shaped) yield return ("guide_credit", "gamma belongs to shape: shaped; leave it out");
        if (GuideCredit.Shape is { } shape && shape != preset.GuideCreditShape && (GuideCredit.Coefficient ?? preset.GuideCredit) == 0)
            yield return ("guide_credit", "shape is of a loss on the guide's tokens, and it has no weight; set coefficient too, or leave it out");
        if (Groups.Baseline == GroupBaseline.Unguided && !ToSettings().Phases.Any(phase => phase.NeedsGuide)) yield return ("groups", $"baseline: all rows of '{name}' are unguided; leave it out");
        if (Gate is { Cut: null } && preset.Gate is null) yield return ("gate", $"'{name}' writes nothing again; say by gate.cut what the new rows begin with, or leave it out");
        if (SuccessReward is not null && !(Gate is { Cut: null } && preset.Gate is null) && !ToSettings().CountsSuccesses)
            yield return ("success_reward", $"'{name}' does not ask which rows succeeded: that is for a gate, or a cut by the rule interval or bisect; leave it out");
        if (RollInScope is not null && !preset.ScheduledPhases.Any(phase => phase.BeginsWithGuide)) yield return ("roll_in_scope", $"the guide begins no response of '{name}'; leave it out");
        if (schedule != PlanSchedule.Coin && PolicyProbability is not null) yield return ("policy_probability", $"'{name}' throws no coin between phases; that is lols");
        if (schedule != PlanSchedule.Switch && SwitchIteration is not null) yield return ("switch_iteration", $"'{name}' doesn't switch; that is d2lols");
        if (schedule != PlanSchedule.Switch && SwitchAtGap is not null) yield return ("switch_at_gap", $"'{name}' doesn't switch; that is d2lols");
        if (schedule == PlanSchedule.Switch && SwitchIteration is null && preset.SwitchIteration == 0) yield return ("switch_iteration", $"'{name}' must have it: the first iteration of the second phase");
        if (!isCustom && First is not null) yield return ("first", $"'{name}' has its own phases; use the name custom");
        if (!isCustom && Second is not null) yield return ("second", $"'{name}' has its own phases; use the name custom");
        if (!isCustom && Schedule is not null) yield return ("schedule", $"'{name}' has its own schedule; use the name custom");
        if (isCustom && First is null) yield return ("first", "a custom algorithm must have a phase: {roll_in: guide, roll_out: policy, roll_in_probability: 0.5, lengths: inside}");
        if (isCustom && (Second is null) != (schedule == PlanSchedule.Constant)) yield return ("second", "two phases need the schedule coin or switch, and these need two phases");
        var settings = ToSettings();
        // The value that it has anyway is no claim; runs from before this was refused keep it in their recipes.
        if (settings.ComparesGroups && Gamma is not (null or 1)) yield return ("gamma", $"the advantages of '{name}' are relative to a group, not discounted by token; leave it out");
        if (settings.ComparesGroups && Lambda is not (null or 0.95)) yield return ("lambda", $"the advantages of '{name}' are relative to a group, without a critic to mix in; leave it out");
        if (settings.Advantage == AdvantageEstimator.Reinforce && Lambda is not null) yield return ("lambda", $"the advantages of '{name}' are whole returns, without a critic to mix in; leave it out");
        if (!settings.ComparesGroups && Groups != new GroupsSection()) yield return ("groups", $"the advantages of '{name}' are not relative to a group; leave it out");
        if (settings.GroupScaling == GroupScaling.None && Groups.Epsilon is not null) yield return ("groups.epsilon", "it is added to the deviation that is divided by, and scaling is none; leave it out");
        if (preset.Lessons is null && Lessons is { Coefficient: null } && Lessons != new LessonsSection())
            yield return ("lessons", $"'{name}' remembers no lessons; set lessons.coefficient too, use adaptive, or leave it out");
        if (preset.Lessons is not null && GuideCredit.Gap == GapScale.Measured)
            yield return ("guide_credit", $"gap: measured and lessons both say how often '{name}' asks its guide; leave one of them out, or use adaptive_v1, which was called adaptive before there were lessons");
        if ((GuideCredit.Coefficient ?? preset.GuideCredit) == 0 && GuideCredit.Weight is { } weight && weight != preset.GuideCreditWeight)
            yield return ("guide_credit.weight", $"'{name}' gives the guide no credit; set guide_credit.coefficient too, or leave it out");
        if (Lessons.Asking is not null && !preset.Phases.Any(phase => phase.NeedsGuide)) yield return ("lessons", $"asking: '{name}' has no guide to ask; leave it out");
        if (Lessons.GuideTokenPrice is not null && settings.Lessons is { ScalesGuide: true } && !settings.Phases.Any(phase => phase.NeedsGuide)) yield return ("lessons.guide_token_price", $"'{name}' has no guide to ask; leave it out");
        if (Lessons.GuideTokenPrice is not null && settings.Lessons is { ScalesGuide: false }) yield return ("lessons.guide_token_price", "the guide is asked as often as the algorithm says, whatever it costs; set asking: measured, or leave it out");
        if (Lessons.Baseline == LessonBaseline.Critic && !settings.HasCritic)
            yield return ("lessons", $"baseline: critic needs a critic, and '{name}' has none; use running_mean or prompt");
        if (settings.ComparesGroups && settings.GroupSize < 2)
            yield return ("group_size", $"the estimator of '{name}' compares the responses to one prompt: it must be at least 2, it is {settings.GroupSize}");
        if (RollInScope is null && settings is { RollInScope: Rollouts.RollInScope.Group, GroupSize: < 2 })
            yield return ("group_size", $"the rows to one prompt share a roll-in of '{name}', and one row has nobody to share it with: set 2 or more, or roll_in_scope: row");
    }

    /// <summary>Whether the keys of roll-ins are for it: a custom algorithm sets them in its phases.</summary>
    private static bool HasRollIns(AlgorithmSettings preset) => preset.Name != AlgorithmSettings.Custom && (HasRollIns(preset.First) || (preset.Second is { } second && HasRollIns(second)));

    private static bool HasRollIns(RolloutPhase phase) => phase.RollInProbability > 0;

    private RolloutPhase Changed(RolloutPhase phase, bool hasRollIns)
    {
        // A custom algorithm says all in its phases.
        if (!hasRollIns || !HasRollIns(phase)) return phase with { Cut = phase.Cut?.Over(null) };
        var lengths = RollInLengths ?? phase.Lengths;
        return phase with
        {
            RollInProbability = RollInProbability ?? phase.RollInProbability,
            Lengths = lengths,
            Cut = lengths == Rollouts.RollInLengths.Share ? (Cut ?? new()).Over(phase.Cut) : null,
        };
    }
}

/// <summary>
/// Further writing for prompts of which no row succeeded: as many rows again, which begin with a share of the guide's text. A key left out, or null, is the algorithm's own; an algorithm without one gets it by
/// <c>cut</c>.
/// </summary>
public sealed record GateSection
{
    /// <summary>How the share of the guide's text is drawn, one for all rows to a prompt.</summary>
    public CutSettings? Cut { get; init; }

    /// <summary>The most further writings of an iteration. Each is for the prompts that the one before it did not settle: of which still no row succeeded, or whose search by <c>bisect</c> is not over.</summary>
    [Limits(AtLeast = 1, AtMost = 100)]
    public int? Rounds { get; init; }

    /// <summary>What becomes of the rows that failed.</summary>
    public GateRows? Rows { get; init; }

    /// <summary>The gate of an algorithm; null for none.</summary>
    internal GateSettings? Over(GateSettings? own) => Cut is null && own is null ? null : new((Cut ?? new()).Over(own?.Cut), Rounds ?? own?.Rounds ?? 1, Rows ?? own?.Rows ?? GateRows.Replace);
}

/// <summary>How the responses to one prompt are compared (<c>grpo</c>, <c>rloo</c>). A key left out, or null, is the algorithm's own.</summary>
public sealed record GroupsSection
{
    /// <summary>What a response's distance from its group's mean is divided by.</summary>
    public GroupScaling? Scaling { get; init; }

    /// <summary>ε, added to the deviation that is divided by; 1e-4 as in TRL, verl has 1e-6.</summary>
    [Limits(AtLeast = 0, AtMost = 1e6)]
    public double? Epsilon { get; init; }

    /// <summary>What becomes of groups in which every response has the same reward.</summary>
    public EqualGroups? Equal { get; init; }

    /// <summary>Whose rewards the mean and the deviation of a group are.</summary>
    public GroupBaseline? Baseline { get; init; }

    /// <summary>How an algorithm compares.</summary>
    internal GroupSettings Of(GroupSettings own) =>
        own with { Scaling = Scaling ?? own.Scaling, Epsilon = Epsilon ?? own.Epsilon, Equal = Equal ?? own.Equal, Baseline = Baseline ?? own.Baseline };

    /// <summary>The section that says what an algorithm does.</summary>
    internal static GroupsSection Of(AlgorithmSettings algorithm) => !algorithm.ComparesGroups ? new() : new()
    {
        Scaling = algorithm.GroupScaling,
        Epsilon = algorithm.GroupScaling == GroupScaling.None ? null : algorithm.Groups.Epsilon,
        Equal = algorithm.Groups.Equal,
        Baseline = algorithm.Phases.Any(phase => phase.NeedsGuide) ? algorithm.Groups.Baseline : null,
    };
}

/// <summary>The loss on the guide's tokens (adaptive guidance). A key left out, or null, is the algorithm's own.</summary>
public sealed record GuideCreditSection
{
    /// <summary>c: its weight; 0 for none.</summary>
    [Limits(AtLeast = 0, AtMost = 1e6)]
    public double? Coefficient { get; init; }

    /// <summary>What tokens are weighed by.</summary>
    public GuideCreditWeight? Weight { get; init; }

    /// <summary>What of a token's probability it makes larger.</summary>
    public GuideCreditShape? Shape { get; init; }

    /// <summary>γ of the shape <c>shaped</c>.</summary>
    [Limits(Above = 0, AtMost = 1e6)]
    public double? Gamma { get; init; }

    /// <summary>Whether β and c are scaled by the measured gap.</summary>
    public GapScale? Gap { get; init; }
}

/// <summary>What is remembered because it was better than expected (adaptive guidance). A key left out, or null, is the algorithm's own.</summary>
public sealed record LessonsSection
{
    /// <summary>c: weight of the loss on remembered rows. An algorithm without lessons gets them by it.</summary>
    [Limits(Above = 0, AtMost = 1e6)]
    public double? Coefficient { get; init; }

    /// <summary>K: remembered rows in each optimiser step, drawn in proportion to their lessons.</summary>
    [Limits(AtLeast = 1, AtMost = 1 << 20)]
    public int? RowsPerStep { get; init; }

    /// <summary>The most rows that are remembered; beyond that the oldest go.</summary>
    [Limits(AtLeast = 1, AtMost = 1 << 20)]
    public int? Capacity { get; init; }

    /// <summary>What the policy is expected to get on a prompt.</summary>
    public LessonBaseline? Baseline { get; init; }

    /// <summary>How many of the last rows tell how much guide and policy teach.</summary>
    [Limits(AtLeast = 1, AtMost = 1 << 20)]
    public int? Window { get; init; }

    /// <summary>Whether the guide is asked by how much it teaches.</summary>
    public GapScale? Asking { get; init; }

    /// <summary>For <c>asking: measured</c>: what a token that the guide writes costs, in tokens that the policy writes (counted in the policy's); how much each teaches is then compared per unit of cost. Null: answers are compared, whatever they cost.</summary>
    [Limits(Above = 0, AtMost = 1e6)]
    public double? GuideTokenPrice { get; init; }

    /// <summary>What an algorithm remembers; null for nothing.</summary>
    internal LessonSettings? Of(LessonSettings? own) => own is null && Coefficient is null ? null : (own ?? new()) is var settings ? settings with
    {
        Coefficient = Coefficient ?? settings.Coefficient,
        RowsPerStep = RowsPerStep ?? settings.RowsPerStep,
        Capacity = Capacity ?? settings.Capacity,
        Baseline = Baseline ?? settings.Baseline,
        Window = Window ?? settings.Window,
        ScalesGuide = Asking is { } asking ? asking == GapScale.Measured : settings.ScalesGuide,
        GuideTokenPrice = GuideTokenPrice ?? settings.GuideTokenPrice,
    } : null;

    /// <summary>The section that says what an algorithm does.</summary>
    internal static LessonsSection Of(AlgorithmSettings algorithm) => algorithm.Lessons is not { } settings ? new() : new()
    {
        Coefficient = settings.Coefficient,
        RowsPerStep = settings.RowsPerStep,
        Capacity = settings.Capacity,
        Baseline = settings.Baseline,
        Window = settings.Window,
        Asking = !algorithm.Phases.Any(phase => phase.NeedsGuide) ? null : settings.ScalesGuide ? GapScale.Measured : GapScale.One,
        GuideTokenPrice = settings.GuideTokenPrice,
    };
}
