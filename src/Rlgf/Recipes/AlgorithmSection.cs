using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Losses;
using Rlgf.Rollouts;

namespace Rlgf.Recipes;

/// <summary>Names of algorithms; see <see cref="Presets"/>.</summary>
public enum AlgorithmName
{
    /// <summary>The policy writes everything.</summary>
    Ppo,

    /// <summary>The guide rolls in, the policy rolls out.</summary>
    PpoPlusPlus,

    /// <summary>The policy rolls in, the guide rolls out.</summary>
    Aggrevated,

    /// <summary>A coin an iteration between PPO++ and AggreVaTeD.</summary>
    Lols,

    /// <summary>AggreVaTeD first, then PPO++.</summary>
    D2lols,

    /// <summary>PPO++ with credit to the guide, both scaled by the measured gap.</summary>
    Adaptive,

    /// <summary>Groups of responses to a prompt, with their standard deviation.</summary>
    Grpo,

    /// <summary>Groups of responses to a prompt, each against the others.</summary>
    Rloo,

    /// <summary>Phases of your own: set <c>first</c>, and <c>second</c> and <c>schedule</c> where there are two.</summary>
    Custom,
}

/// <summary>Whether the guide's share is scaled by how much better it is.</summary>
public enum GapScale
{
    /// <summary>By the measured gap between guide and policy.</summary>
    Measured,

    /// <summary>Never: g = 1.</summary>
    One,
}

/// <summary>An algorithm by name, and what to change of it. A key left out, or null, is the algorithm's own.</summary>
public sealed record AlgorithmSection : ICheckedSection
{
    /// <summary>The algorithm.</summary>
    public required AlgorithmName Name { get; init; }

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

    /// <summary>γ: discount a token.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? Gamma { get; init; }

    /// <summary>λ of generalised advantage estimation.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? Lambda { get; init; }

    /// <summary>The loss on the guide's tokens.</summary>
    public GuideCreditSection GuideCredit { get; init; } = new();

    /// <summary>For <c>custom</c>: how the phase of an iteration is chosen.</summary>
    public PlanSchedule? Schedule { get; init; }

    /// <summary>For <c>custom</c>: the only phase, or the first.</summary>
    public RolloutPhase? First { get; init; }

    /// <summary>For <c>custom</c>: the second phase.</summary>
    public RolloutPhase? Second { get; init; }

    private bool HasRollIns => Name is not (AlgorithmName.Ppo or AlgorithmName.Grpo or AlgorithmName.Rloo or AlgorithmName.Custom);

    /// <summary>The algorithm as the loop takes it.</summary>
    public AlgorithmSettings ToSettings()
    {
        var preset = Name == AlgorithmName.Custom
            ? new AlgorithmSettings { Name = "custom", First = First!, Second = Second, Schedule = Schedule ?? PlanSchedule.Constant }
            : Presets.Named(RecipeSchema.KeyOf(Name.ToString()), SwitchIteration ?? 0)!;
        return preset with
        {
            First = Changed(preset.First),
            Second = preset.Second is { } second ? Changed(second) : null,
            FirstProbability = PolicyProbability ?? preset.FirstProbability,
            SwitchIteration = SwitchIteration ?? preset.SwitchIteration,
            Advantage = Advantage ?? preset.Advantage,
            GroupSize = GroupSize ?? preset.GroupSize,
            Gamma = Gamma ?? preset.Gamma,
            Lambda = Lambda ?? preset.Lambda,
            GuideCredit = GuideCredit.Coefficient ?? preset.GuideCredit,
            GuideCreditWeight = GuideCredit.Weight ?? preset.GuideCreditWeight,
            ScaleByGap = GuideCredit.Gap is { } gap ? gap == GapScale.Measured : preset.ScaleByGap,
        };
    }

    /// <summary>The section with the algorithm's own values filled in. The lengths of two phases that differ stay null.</summary>
    public AlgorithmSection Resolved()
    {
        var settings = ToSettings();
        return this with
        {
            RollInProbability = HasRollIns ? settings.First.RollInProbability : null,
            RollInLengths = HasRollIns && (settings.Second is null || settings.Second.Lengths == settings.First.Lengths) ? settings.First.Lengths : null,
            PolicyProbability = settings.Schedule == PlanSchedule.Coin ? settings.FirstProbability : null,
            SwitchIteration = settings.Schedule == PlanSchedule.Switch ? settings.SwitchIteration : null,
            Advantage = settings.Advantage,
            GroupSize = settings.GroupSize,
            Gamma = settings.Gamma,
            Lambda = settings.Lambda,
            GuideCredit = new GuideCreditSection { Coefficient = settings.GuideCredit, Weight = settings.GuideCreditWeight, Gap = settings.ScaleByGap ? GapScale.Measured : GapScale.One },
            Schedule = Name == AlgorithmName.Custom ? settings.Schedule : null,
        };
    }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        var name = RecipeSchema.KeyOf(Name.ToString());
        var isCustom = Name == AlgorithmName.Custom;
        var schedule = isCustom ? Schedule ?? PlanSchedule.Constant : Name switch
        {
            AlgorithmName.Lols => PlanSchedule.Coin,
            AlgorithmName.D2lols => PlanSchedule.Switch,
            _ => PlanSchedule.Constant,
        };
        if (!HasRollIns && RollInProbability is not null) yield return ("roll_in_probability", isCustom ? "a custom algorithm sets it in its phases" : $"'{name}' has no roll-ins");
        if (!HasRollIns && RollInLengths is not null) yield return ("roll_in_lengths", isCustom ? "a custom algorithm sets lengths in its phases" : $"'{name}' has no roll-ins");
        if (schedule != PlanSchedule.Coin && PolicyProbability is not null) yield return ("policy_probability", $"'{name}' throws no coin between phases; that is lols");
        if (schedule != PlanSchedule.Switch && SwitchIteration is not null) yield return ("switch_iteration", $"'{name}' doesn't switch; that is d2lols");
        if (schedule == PlanSchedule.Switch && SwitchIteration is null) yield return ("switch_iteration", $"'{name}' must have it: the first iteration of the second phase");
        if (!isCustom && First is not null) yield return ("first", $"'{name}' has its own phases; use the name custom");
        if (!isCustom && Second is not null) yield return ("second", $"'{name}' has its own phases; use the name custom");
        if (!isCustom && Schedule is not null) yield return ("schedule", $"'{name}' has its own schedule; use the name custom");
        if (isCustom && First is null) yield return ("first", "a custom algorithm must have a phase: {roll_in: guide, roll_out: policy, roll_in_probability: 0.5, lengths: inside}");
        if (isCustom && (Second is null) != (schedule == PlanSchedule.Constant)) yield return ("second", "two phases need the schedule coin or switch, and these need two phases");
        // The value that it has anyway is no claim; runs from before this was refused keep it in their recipes.
        if (Estimator != AdvantageEstimator.Gae && Gamma is not (null or 1)) yield return ("gamma", $"the advantages of '{name}' are relative to a group, not discounted by token; leave it out");
        if (Estimator != AdvantageEstimator.Gae && Lambda is not (null or 0.95)) yield return ("lambda", $"the advantages of '{name}' are relative to a group, without a critic to mix in; leave it out");
        if (Advantage is AdvantageEstimator.Grpo or AdvantageEstimator.Rloo && GroupSize is null or < 2 && !(Name is AlgorithmName.Grpo or AlgorithmName.Rloo && GroupSize is null))
            yield return ("group_size", "grpo and rloo compare the responses to one prompt: at least 2");
    }

    private AdvantageEstimator Estimator => Advantage ?? Name switch
    {
        AlgorithmName.Grpo => AdvantageEstimator.Grpo,
        AlgorithmName.Rloo => AdvantageEstimator.Rloo,
        _ => AdvantageEstimator.Gae,
    };

    private RolloutPhase Changed(RolloutPhase phase) => !HasRollIns ? phase : phase with
    {
        RollInProbability = RollInProbability ?? phase.RollInProbability,
        Lengths = RollInLengths ?? phase.Lengths,
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
