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
    /// <summary>The name of an algorithm whose phases the recipe says.</summary>
    internal const string Custom = "custom";

    /// <summary>The algorithm.</summary>
    public required string Name { get; init; }

    /// <summary>β: probability that a row has a roll-in.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? RollInProbability { get; init; }

    /// <summary>How a roll-in's length is drawn, in every phase.</summary>
    public RollInLengths? RollInLengths { get; init; }

    /// <summary>For <c>lols</c>: probability of the phase in which the policy rolls out.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? PolicyProbability { get; init; }

    /// <summary>For <c>d2lols</c>, which must have it: the first iteration of PPO++ (the paper's α).</summary>
    [Limits(AtLeast = 0)]
    public int? SwitchIteration { get; init; }

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
            First = hasRollIns ? Changed(preset.First) : preset.First,
            Second = preset.Second is { } second && hasRollIns ? Changed(second) : preset.Second,
            FirstProbability = PolicyProbability ?? preset.FirstProbability,
            SwitchIteration = SwitchIteration ?? preset.SwitchIteration,
            Advantage = Advantage ?? preset.Advantage,
            GroupSize = GroupSize ?? preset.GroupSize,
            // Another estimator divides in its own way.
            Groups = Groups.Of((Advantage ?? preset.Advantage) == preset.Advantage ? preset.Groups : preset.Groups with { Scaling = null }),
            Gamma = Gamma ?? preset.Gamma,
            Lambda = Lambda ?? preset.Lambda,
            GuideCredit = GuideCredit.Coefficient ?? preset.GuideCredit,
            GuideCreditWeight = GuideCredit.Weight ?? preset.GuideCreditWeight,
            ScaleByGap = GuideCredit.Gap is { } gap ? gap == GapScale.Measured : preset.ScaleByGap,
            Lessons = Lessons.Of(preset.Lessons),
        };
    }

    /// <summary>The section with the algorithm's own values filled in. The lengths of two phases that differ stay null.</summary>
    public AlgorithmSection Resolved()
    {
        var settings = ToSettings();
        var hasRollIns = HasRollIns(Kinds.Algorithms.Make(this));
        return this with
        {
            RollInProbability = hasRollIns ? settings.First.RollInProbability : null,
            RollInLengths = hasRollIns && (settings.Second is null || settings.Second.Lengths == settings.First.Lengths) ? settings.First.Lengths : null,
            PolicyProbability = settings.Schedule == PlanSchedule.Coin ? settings.FirstProbability : null,
            SwitchIteration = settings.Schedule == PlanSchedule.Switch ? settings.SwitchIteration : null,
            Advantage = settings.Advantage,
            GroupSize = settings.GroupSize,
            Groups = GroupsSection.Of(settings),
            Gamma = settings.ComparesGroups ? null : settings.Gamma,
            Lambda = settings.HasCritic ? settings.Lambda : null,
            GuideCredit = new GuideCreditSection { Coefficient = settings.GuideCredit, Weight = settings.GuideCreditWeight, Gap = settings.ScaleByGap ? GapScale.Measured : GapScale.One },
            Lessons = LessonsSection.Of(settings),
            Schedule = Name == Custom ? settings.Schedule : null,
        };
    }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        var (name, isCustom) = (Name, Name == Custom);
        var preset = Kinds.Algorithms.Make(this);
        var hasRollIns = HasRollIns(preset);
        var schedule = preset.Schedule;
        if (!hasRollIns && RollInProbability is not null) yield return ("roll_in_probability", isCustom ? "a custom algorithm sets it in its phases" : $"'{name}' has no roll-ins");
        if (!hasRollIns && RollInLengths is not null) yield return ("roll_in_lengths", isCustom ? "a custom algorithm sets lengths in its phases" : $"'{name}' has no roll-ins");
        if (schedule != PlanSchedule.Coin && PolicyProbability is not null) yield return ("policy_probability", $"'{name}' throws no coin between phases; that is lols");
        if (schedule != PlanSchedule.Switch && SwitchIteration is not null) yield return ("switch_iteration", $"'{name}' doesn't switch; that is d2lols");
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
        if (Lessons.Baseline == LessonBaseline.Critic && !settings.HasCritic)
            yield return ("lessons", $"baseline: critic needs a critic, and '{name}' has none; use running_mean or prompt");
        if (Advantage is AdvantageEstimator.Grpo or AdvantageEstimator.Rloo && (GroupSize ?? preset.GroupSize) < 2)
            yield return ("group_size", "grpo and rloo compare the responses to one prompt: at least 2");
    }

    /// <summary>Whether the keys of roll-ins are for it: a custom algorithm sets them in its phases.</summary>
    private static bool HasRollIns(AlgorithmSettings preset) => preset.Name != Custom && (preset.First.RollInProbability > 0 || preset.Second?.RollInProbability > 0);

    private RolloutPhase Changed(RolloutPhase phase) => phase with
    {
        RollInProbability = RollInProbability ?? phase.RollInProbability,
        Lengths = RollInLengths ?? phase.Lengths,
    };
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

    /// <summary>How an algorithm compares.</summary>
    internal GroupSettings Of(GroupSettings own) => own with { Scaling = Scaling ?? own.Scaling, Epsilon = Epsilon ?? own.Epsilon, Equal = Equal ?? own.Equal };

    /// <summary>The section that says what an algorithm does.</summary>
    internal static GroupsSection Of(AlgorithmSettings algorithm) => !algorithm.ComparesGroups ? new() : new()
    {
        Scaling = algorithm.GroupScaling,
        Epsilon = algorithm.GroupScaling == GroupScaling.None ? null : algorithm.Groups.Epsilon,
        Equal = algorithm.Groups.Equal,
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

    /// <summary>What an algorithm remembers; null for nothing.</summary>
    internal LessonSettings? Of(LessonSettings? own) => own is null && Coefficient is null ? null : (own ?? new()) is var settings ? settings with
    {
        Coefficient = Coefficient ?? settings.Coefficient,
        RowsPerStep = RowsPerStep ?? settings.RowsPerStep,
        Capacity = Capacity ?? settings.Capacity,
        Baseline = Baseline ?? settings.Baseline,
        Window = Window ?? settings.Window,
        ScalesGuide = Asking is { } asking ? asking == GapScale.Measured : settings.ScalesGuide,
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
    };
}
