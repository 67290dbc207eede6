using Rlgf.Algorithms;
using Rlgf.Distributed;
using Rlgf.Guides;
using Rlgf.Lessons;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.NumberTypes;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Tokenizers;
using Rlgf.Worth;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>All that a run is given. Nothing here changes during a run but the weights of the policy.</summary>
public sealed record TrainingSetup
{
    /// <summary>π_θ: the model being trained.</summary>
    public required ILanguageModel Policy { get; init; }

    /// <summary>π_0: a frozen copy of the starting policy, for the KL penalty only. It is not the guide, even where both start from the same weights.</summary>
    public required ILanguageModel Reference { get; init; }

    /// <summary>The policy's tokenizer.</summary>
    public required ITokenizer Tokenizer { get; init; }

    /// <summary>π_g; null for algorithms without one.</summary>
    public IGuide? Guide { get; init; }

    /// <summary>Scores finished responses.</summary>
    public required IReward Reward { get; init; }

    /// <summary>Whether advantages are made of rewards at mean 0 and deviation 1, by the <see cref="RunningMoments"/> of all rows so far. What is reported stays in the reward's own unit.</summary>
    public bool NormaliseReward { get; init; }

    /// <summary>The prompts to train on; taken in a seeded order, each once an epoch.</summary>
    public required IReadOnlyList<Prompt> Prompts { get; init; }

    /// <summary>How the policy samples; its maximum is the response limit H.</summary>
    public required SamplingSettings Sampling { get; init; }

    /// <summary>The algorithm.</summary>
    public required AlgorithmSettings Algorithm { get; init; }

    /// <summary>What the critics are made of.</summary>
    public CriticSharing CriticSharing { get; init; }

    /// <summary>Where the critics' own models are, where nothing is shared (<see cref="CriticSharing.Separate"/>); null for the policy's device. Heads on the policy's states are where those are.</summary>
    public Device? CriticDevice { get; init; }

    /// <summary>Writes the policy's part of the rows; by default the policy itself does. Log-probabilities of what was sampled are the writer's: those of a copy in another type, say.</summary>
    public ITextWriter Writer { get => field ?? new ModelWriter(Policy); init; }

    /// <summary>Writes the answers of evaluations; by default the policy itself does, in its own type, whatever writes in training.</summary>
    public ITextWriter EvaluationWriter { get => field ?? new ModelWriter(Policy); init; }

    /// <summary>Stages of an iteration that come after the algorithm's own: what they write is a part of the same iteration. Empty for every algorithm there is a name for.</summary>
    public IReadOnlyList<IWritingStage> LaterStages { get; init; } = [];

    /// <summary>Terms of the loss beside the clipped policy loss, the value loss, the guide's credit and the KL. Empty for every algorithm there is a name for.</summary>
    public IReadOnlyList<ILossTerm> FurtherLossTerms { get; init; } = [];

    /// <summary>A next-token loss on answers of others beside reinforcement learning; null for none.</summary>
    public SupervisedLossSettings? Supervised { get; init; }

    /// <summary>How it is measured what the guide is worth; null: it isn't.</summary>
    public GuideWorthSettings? GuideWorth { get; init; }

    /// <summary>What is looked for at evaluations, and what happens then; null: nothing.</summary>
    public TripwireSettings? Tripwires { get; init; }

    /// <summary>Losses on rows of their own that every optimiser step adds. Empty for every algorithm there is a name for; lessons have theirs anyway.</summary>
    public IReadOnlyList<IAuxiliaryLoss> AuxiliaryLosses { get; init; } = [];

    /// <summary>The guide, or those that it is made of.</summary>
    internal IEnumerable<IGuide> Guides => Guide switch { null => [], SeveralGuides several => several.Options.Select(option => LimitedGuide.Within(option.Guide)), var one => [LimitedGuide.Within(one)] };

    /// <summary>The phases that a row may have, of the algorithm and of later stages.</summary>
    internal IReadOnlyList<RolloutPhase> Phases => [.. Algorithm.Phases, .. LaterStages.SelectMany(stage => stage.Phases)];

    /// <summary>The roll-out actors that a row may have: each has a critic of its own. The policy finishes what the guide may leave to it.</summary>
    internal IReadOnlyList<Actor> RollOutActors =>
        [.. Phases.Select(phase => phase.RollOut).Concat(Guide is { MayDecline: true } && Phases.Any(phase => phase.NeedsGuide) ? [Actor.Policy] : []).Distinct()];

    /// <summary>The policy in the reference's type: what the KL compares with the reference must not differ from it by rounding.</summary>
    internal ILanguageModel ComparedPolicy =>
        Writer.LogProbsOf is { } copy && PrecisionOfModels.PrecisionOf(copy) == PrecisionOfModels.PrecisionOf(Reference) ? copy : Policy;

    /// <summary>The KL penalty; what is null is filled in as it is for the algorithm.</summary>
    public KlSettings Kl { get => field.For(Algorithm); init; } = new();

    /// <summary>The update; what is null is filled in as it is for the algorithm.</summary>
    public UpdateSettings Update { get => field.For(Algorithm); init; } = new();

    /// <summary>Whether a response that was cut at the limit is worth its critic's value there. Default: a cut counts as an end, as the paper's tasks have a fixed length.</summary>
    public bool BootstrapCutRows { get; init; }

    /// <summary>Iterations of the run.</summary>
    public required int Iterations { get; init; }

    /// <summary>B: rows of an iteration, all samples of a prompt counted.</summary>
    public required int RowsPerIteration { get; init; }

    /// <summary>The processes that train together; by default this one alone. Each has the same setup, with models of its own.</summary>
    public ICommunicator Ranks { get; init; } = OneProcess.Alone;

    /// <summary>The run's seed: of prompts, coins, lengths, tokens and minibatches.</summary>
    public ulong Seed { get; init; }
}

/// <summary>What a run carries from one iteration to the next, besides weights and optimiser: with these a checkpoint is complete. Random draws have no state.</summary>
/// <param name="Iteration">The next iteration, from 0.</param>
/// <param name="Kl">The KL coefficient's controller.</param>
/// <param name="Gap">The measured gap between guide and policy.</param>
/// <param name="PolicyTokens">Tokens generated by the policy so far.</param>
/// <param name="GuideTokens">Tokens generated by the guide so far, those that were not kept included.</param>
public sealed record TrainingState(int Iteration, KlController Kl, GuidanceGap Gap, long PolicyTokens = 0, long GuideTokens = 0)
{
    /// <summary>What a guide with a state kept, before it was asked for anything of the next iteration; null for other guides.</summary>
    public byte[]? Guide { get; init; }

    /// <summary>Mean and deviation of the rewards so far, where rewards are normalised.</summary>
    public RunningMoments Rewards { get; init; } = new();

    /// <summary>What is known of each prompt's cut, for rules with a state; null for others.</summary>
    public CutState? Cuts { get; init; }

    /// <summary>What is remembered, for algorithms with lessons; null for others.</summary>
    public LessonState? Lessons { get; init; }

    /// <summary>What the guide was worth lately, where that is measured; null elsewhere.</summary>
    public GuideWorth? Worth { get; init; }

    /// <summary>What tripwires compare with and what came of them; null where there never were any.</summary>
    public TripwireState? Tripwires { get; init; }

    /// <summary>How much the guide is asked in the next iteration.</summary>
    internal Guidance Guidance => (Lessons?.Guidance ?? new(Gap.Factor)) with { Cuts = Cuts, HasSwitched = Worth?.SwitchedAt is not null };

    /// <summary>Where a run begins.</summary>
    internal static TrainingState Beginning(TrainingSetup setup) =>
        new(0, setup.Kl.NewController(), GuidanceGap.Unmeasured)
        {
            Lessons = setup.Algorithm.Lessons is null ? null : LessonState.New,
            Cuts = setup.Algorithm.CutWithState is null ? null : CutState.New,
            Worth = setup.GuideWorth is null ? null : GuideWorth.New,
            Tripwires = setup.Tripwires is null ? null : TripwireState.New,
        };
}
