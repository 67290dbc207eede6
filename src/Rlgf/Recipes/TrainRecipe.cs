using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Models.Generation;
using Rlgf.Models.NumberTypes;
using Rlgf.Rollouts;
using Rlgf.Training;
using Rlgf.Worth;

namespace Rlgf.Recipes;

/// <summary>Reinforcement learning with or without a guide: <c>rlgf train</c>.</summary>
public sealed record TrainRecipe : RunRecipe, ICheckedSection
{
    /// <summary>The starting policy, which is the reference of the KL penalty too.</summary>
    public required ModelSection Model { get; init; }

    /// <summary>Where prompts come from.</summary>
    public required DataSection Data { get; init; }

    /// <summary>How the policy samples; <c>max_new_tokens</c> is the response limit.</summary>
    public required SamplingSettings Generation { get; init; }

    /// <summary>The source of continuations that guides the policy; null for algorithms without one.</summary>
    public GuideSection? Guide { get; init; }

    /// <summary>What scores responses.</summary>
    public required RewardSection Reward { get; init; }

    /// <summary>A score that training never sees, for evaluation; null for none.</summary>
    public RewardSection? Judge { get; init; }

    /// <summary>The algorithm.</summary>
    public required AlgorithmSection Algorithm { get; init; }

    /// <summary>The value functions.</summary>
    public CriticSection Critic { get; init; } = new();

    /// <summary>A next-token loss on answers of others beside reinforcement learning; null for none.</summary>
    public SupervisedLossSettings? Supervised { get; init; }

    /// <summary>How it is measured what the guide is worth, and whether the run should warn where it is worth nothing; null: it isn't measured.</summary>
    public GuideWorthSettings? GuideWorth { get; init; }

    /// <summary>The penalty for drifting from the start.</summary>
    public KlSettings Kl { get; init; } = new();

    /// <summary>The update of an iteration.</summary>
    public UpdateSettings Update { get; init; } = new();

    /// <summary>Where single parts compute and in which type, where that is not <c>device</c> and float32.</summary>
    public PlacementSection Placement { get; init; } = new();

    /// <summary>Types alone, as recipes said them before there was <c>placement</c>; null for float32, or what that says.</summary>
    public PrecisionSection? Precision { get; init; }

    /// <summary>Iterations of the run; a run that has ended is made longer by more of them. With <c>update.schedule: linear</c> the learning rate then falls to 0 at the new end.</summary>
    [MayChangeOnResume]
    [Limits(AtLeast = 1)]
    public required int Iterations { get; init; }

    /// <summary>Rows of an iteration, all responses to a prompt counted.</summary>
    [Limits(AtLeast = 1, AtMost = 1 << 20)]
    public required int RowsPerIteration { get; init; }

    /// <summary>Evaluation on held-out prompts during the run.</summary>
    public EvaluationSection Evaluation { get; init; } = new();

    /// <summary>What is looked for at evaluations in case the policy climbs the reward where it is wrong, and what happens then; null: nothing.</summary>
    [MayChangeOnResume]
    public TripwireSettings? Tripwires { get; init; }

    /// <summary>What is kept for going on after a stop.</summary>
    public CheckpointsSection Checkpoints { get; init; } = new();

    /// <summary>Whether a type is left to the processor's features. Without an adapter the policy's isn't: it is float32 then.</summary>
    public bool HasAutoTypes => Placement.Parts.Any(part => part.Part.Precision == Rlgf.Models.NumberTypes.Precision.Auto)
        || ((Placement.Policy.Precision ?? Precision?.Policy) == PolicyPrecision.Auto && BaseType.HasAdapter(Model.Path, Model.Lora))
        || (Precision is { } types && new[] { types.Reference, types.Guide, types.Rewards, types.Rollouts }.Contains(Rlgf.Models.NumberTypes.Precision.Auto));

    /// <inheritdoc/>
    internal override IEnumerable<(string Key, string Name)> Devices =>
        [.. base.Devices, .. Placement.Parts.Where(part => part.Part.Device is not null).Select(part => ($"placement.{part.Key}.device", part.Part.Device!))];

    /// <inheritdoc/>
    public override RunRecipe Resolved() => (TrainRecipe)base.Resolved() with
    {
        Model = Model.Resolved(),
        Reward = Reward.Resolved(),
        Judge = Judge?.Resolved(),
        Algorithm = Algorithm.Resolved(),
        Kl = Kl.For(Algorithm.ToSettings()),
        Update = Update.For(Algorithm.ToSettings()),
        Placement = RunPlacement.Types(this, Kl.For(Algorithm.ToSettings()).Placement!.Value),
        Precision = null,
        Guide = Guide?.Resolved(Generation),
        Evaluation = Evaluation with { Decoding = Evaluation.Decoding ?? Generation },
    };

    private bool HasReferences => Data is not { PromptTokens: null, ReferenceColumn: null, MessagesColumn: null };

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Data.MessagesColumn is not null && Model.Chat?.Instruction is not null)
            yield return ("model", "chat.instruction is for texts, and data.messages_column holds whole conversations; leave one of them out");
        if (Data.MessagesColumn is not null && Guide?.All.Any(guide => guide is ModelGuideSection { Chat.Instruction: not null }) == true)
            yield return ("guide", "chat.instruction is for texts, and data.messages_column holds whole conversations, which the guide is given by its own template; leave the instruction out");
        if (Guide?.All.Any(guide => guide is ReferencesGuideSection or ImperfectReferencesGuideSection) == true && !HasReferences)
            yield return ("guide", "references need a text to follow the prompt: set data.prompt_tokens (the rest of the text is the reference) or data.reference_column");
        if (Supervised is { Source: SupervisedSource.References, Column: null } && !HasReferences)
            yield return ("supervised", "it needs texts: set supervised.column, data.prompt_tokens (the rest of the text is the reference) or data.reference_column");
        var algorithm = Algorithm.ToSettings();
        if (GuideWorth is not null && Guide is null) yield return ("guide_worth", "there is no guide whose worth could be measured: set guide, or leave this out");
        if (GuideWorth is { Every: > 1 and var every } && every >= Iterations)
            yield return ("guide_worth.every", FormattableString.Invariant($"{every} in a run of {Iterations} iterations is the first iteration alone, in which nothing is learned yet; measure more often"));
        if (Algorithm.SwitchAtGap is not null && GuideWorth is null) yield return ("algorithm.switch_at_gap", "the gap is not measured: set guide_worth, such as guide_worth: {share: 0.25}");
        if (Supervised is { Source: SupervisedSource.Guide } && !algorithm.Phases.Any(phase => phase.BeginsWithGuide)) yield return ("supervised.source", TrainingChecks.NoAnswers(algorithm));
        // What the algorithm fills in may be what does not go together with what was said.
        var kl = Kl.For(algorithm);
        if (kl.Problems().FirstOrDefault() is { Problem: { } klProblem } found)
        {
            yield return kl.Coefficient == 0
                ? ("kl", FormattableString.Invariant($"with '{algorithm.Name}' the coefficient is {kl.Coefficient} where kl.coefficient does not say otherwise: {klProblem}"))
                : ("kl", $"with the advantage '{RecipeSchema.KeyOf(algorithm.Advantage.ToString())}' the penalty goes into the {RecipeSchema.KeyOf(kl.Placement.ToString()!)} where kl.placement does not say otherwise: {klProblem}");
        }

        foreach (var (key, problem) in Update.ProblemsWith(algorithm)) yield return ($"update.{key}", problem);
        if (!algorithm.HasCritic && Critic.Sharing != new CriticSection().Sharing) yield return ("critic.sharing", $"'{algorithm.Name}' has no critic; leave it out");
        if (!algorithm.HasCritic && Critic.BootstrapCutRows) yield return ("critic.bootstrap_cut_rows", $"'{algorithm.Name}' has no critic; leave it out");
        if (Judge?.Normalise == true)
            yield return ("judge", "normalise is for the reward that training learns from; a judge's scores are reported as they are");
        if (Judge is not null && Data.EvaluationPath is null) yield return ("judge", "it judges the answers to held-out prompts, and data.evaluation_path names none; set that, or leave the judge out");
        foreach (var problem in DeviceProblems()) yield return problem;
        foreach (var problem in RunPlacement.Problems(this)) yield return problem;
        if (Evaluation.Guide is not null && Guide is null)
            yield return ("evaluation.guide", "there is no guide to evaluate; leave it out, or set guide");
        foreach (var problem in UnusedEvaluation()) yield return problem;
        foreach (var problem in TripwireProblems(kl)) yield return problem;
        bool? canRollOut = Guide is null ? null : !Guide.OnlyRollsIn;
        foreach (var problem in TrainingChecks.Problems(algorithm, Generation, RowsPerIteration, canRollOut, Guide?.GivesReferences)) yield return problem;
    }

    private IEnumerable<(string Key, string Problem)> TripwireProblems(KlSettings kl)
    {
        if (Tripwires is not null && Data.EvaluationPath is null) yield return ("tripwires", "they look at answers to held-out prompts, and data.evaluation_path names none; set that, or leave them out");
        if (Tripwires?.JudgeFall is not null && Judge is null) yield return ("tripwires.judge_fall", "there is no judge; set it, or leave this out");
        if (Tripwires?.MostKl is not null && Evaluation.Decoding is { } drawn && (drawn.Greedy || drawn.Beams is not null))
            yield return ("tripwires.most_kl", "answers are not drawn (evaluation.decoding), so that there is no KL to look at; leave it out");
        if (Tripwires?.Action == TripwireAction.GoBack && kl.Coefficient == 0) yield return ("tripwires.action", "the KL coefficient is 0, which no factor raises: set kl.coefficient, or warn or stop");
        if (Tripwires?.Action == TripwireAction.GoBack && Checkpoints.Every % Evaluation.Every != 0)
            yield return ("checkpoints.every", FormattableString.Invariant($"a run that goes back has a checkpoint only where it was evaluated: make it a multiple of evaluation.every, {Evaluation.Every}"));
    }

    /// <inheritdoc/>
    internal override PolicyPrecision TrainedIn => Placement.Policy.Precision ?? PolicyPrecision.Float32;

    /// <inheritdoc/>
    private protected override IEnumerable<(string Key, string Problem)> MachineProblems() =>
        BaseType.Problem(Placement.Policy.Precision ?? Precision?.Policy, Placement.Policy.Device ?? Device, Model.Path, Model.Lora) is { } problem
            ? [(Placement.Policy.Precision is null ? "precision.policy" : "placement.policy.precision", problem)] : [];

    private protected override bool IsReadByOwnCode(string key) => key is "data.path" or "data.evaluation_path" && Data.Reader is not (null or FileReaderSection);

    /// <summary>Keys of evaluations where nothing is held out. What they are anyway is no claim: a run's own recipe has all of them.</summary>
    private IEnumerable<(string Key, string Problem)> UnusedEvaluation()
    {
        if (Data.EvaluationPath is not null) yield break;
        const string Problem = "no prompts are held out to be answered; leave it out, or set data.evaluation_path";
        if (Evaluation.Prompts != new EvaluationSection().Prompts) yield return ("evaluation.prompts", Problem);
        if (Evaluation.Decoding is { } decoding && RecipeFile.Write(decoding, Kinds) != RecipeFile.Write(Generation, Kinds)) yield return ("evaluation.decoding", Problem);
        if (Evaluation.Guide == true) yield return ("evaluation.guide", Problem);
        if (Evaluation.By is not null) yield return ("evaluation.by", Problem);
    }
}
