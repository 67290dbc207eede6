using Rlgf.Base;
using Rlgf.Checks;
using Rlgf.Distributed;
using Rlgf.Evaluation;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;
using Rlgf.Prompts;
using Rlgf.Recipes;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Training;
using static TorchSharp.torch;

namespace Rlgf.Composition;

/// <summary>A training run as its recipe says it: everything loaded, checked, trained, and written into the run's folder.</summary>
public sealed class TrainingRun : IDisposable
{
    /// <summary>Seed of evaluations: the same for all runs, so that runs of several seeds are compared on the same draws.</summary>
    private const ulong EvaluationSeed = 0;

    /// <summary>Responses that the check of the reward looks at; more say no more.</summary>
    private const int RowsToCheck = 32;

    private const string Command = "rlgf train";

    private readonly RecipeParts _parts;
    private readonly ICommunicator _ranks;
    private RunClaim? _claim;

    /// <summary>Loads models and data.</summary>
    /// <param name="recipe">The recipe; keys whose default depends on others are filled in.</param>
    /// <param name="tell">Told in lines of what takes time before anything is trained, such as an endpoint that doesn't answer; null for nobody.</param>
    /// <param name="cancellationToken">Stops the loading between parts, and what waits for somebody while it is loaded or checked.</param>
    /// <exception cref="InputException">Something can't be loaded.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public TrainingRun(TrainRecipe recipe, Action<string>? tell = null, CancellationToken cancellationToken = default)
        : this(recipe, claim: null, tell, OneProcess.Alone, cancellationToken)
    {
    }

    private TrainingRun(TrainRecipe recipe, RunClaim? claim, Action<string>? tell, ICommunicator ranks, CancellationToken cancellationToken)
    {
        (_claim, _ranks) = (claim, ranks);
        Recipe = (TrainRecipe)recipe.Resolved();
        Folder = new RunFolder(Recipe.Output!);
        _parts = new RecipeParts(Recipe) { RunFolder = claim is null ? null : Folder.Path, Tell = tell, Stop = cancellationToken };
        try
        {
            Recipe.RequireDevices();
            Policy = _parts.Policy();
            cancellationToken.ThrowIfCancellationRequested();
            RequireIds("generation", Recipe.Generation);
            RequireIds("evaluation.decoding", Recipe.Evaluation.Decoding!);
            var reference = PrecisionOfModels.CopyAs(Policy.Model, _parts.Placement.Reference.Precision, _parts.Placement.Reference.Device);
            Setup = NewSetup(reference);
            Judge = _parts.Judge();
            Evaluator = NewEvaluator(reference);
        }
        catch
        {
            _parts.Dispose();
            throw;
        }
    }

    /// <summary>Takes the run's folder for this process until the run is disposed, and then loads models and data: better refused before that than after.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="resume">Go on with the run that the folder holds; where it holds none, one begins.</param>
    /// <param name="tell">As of the constructor.</param>
    /// <param name="ranks">The processes that train together, all of which come here with the same recipe; the first has the folder. Null for this one alone.</param>
    /// <param name="cancellationToken">As of the constructor.</param>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    /// <exception cref="InputException">
    /// The ranks have not the same, another process has the folder, it holds another run or what a run would replace, the recipe or the files of the run that goes on have changed, or something can't be loaded.
    /// </exception>
    public static TrainingRun Own(TrainRecipe recipe, bool resume, Action<string>? tell = null, ICommunicator? ranks = null, CancellationToken cancellationToken = default)
    {
        ranks ??= OneProcess.Alone;
        recipe.RequireDevices();
        var resolved = (TrainRecipe)recipe.Resolved();
        SameOnAllRanks.Require(ranks, resolved);
        var claim = ranks.Rank == 0 ? RunClaim.Take(resolved, resume, Command, ranks.Size) : null;
        try
        {
            return new TrainingRun(recipe, claim, tell, ranks, cancellationToken);
        }
        catch
        {
            claim?.Dispose();
            throw;
        }
    }

    /// <summary>The recipe, resolved.</summary>
    public TrainRecipe Recipe { get; }

    /// <summary>The run's folder.</summary>
    public RunFolder Folder { get; }

    /// <summary>The policy with its tokenizer.</summary>
    public TextModel Policy { get; }

    /// <summary>What the loop is given.</summary>
    public TrainingSetup Setup { get; }

    /// <summary>The score that training never sees; null without one.</summary>
    public IReward? Judge { get; }

    /// <summary>Evaluates on held-out prompts; null for a recipe without them.</summary>
    public Evaluator? Evaluator { get; }

    /// <summary>Looks for what goes wrong silently; see <see cref="RunChecks"/>. Writes some responses with the policy, to see what the reward and the judge make of them.</summary>
    public IReadOnlyList<Finding> Check(CancellationToken cancellationToken)
    {
        // A guide elsewhere finds out here what it can do; what is wrong with it is about no other key.
        Recipe.Locations.Of("guide", () => Setup.Guide?.CanRollOut);
        var findings = RunChecks.Before(Setup, Judge, Evaluator?.Prompts, EvaluatesGuide);
        // What can't be trained can't always be sampled either, nor can what some rows lack be scored for a look.
        if (RunChecks.Impossible(Setup) is not null || findings.Any(finding => finding is { Severity: Severity.Error, Key: "reward" or "judge" })) return [.. findings.Select(Placed)];
        var responses = FirstResponses(cancellationToken);
        var rewards = Recipe.Locations.Of("reward", () => CheckedScores.Of(Setup.Reward, responses, cancellationToken));
        var same = Judge is { } judge && RunChecks.JudgeIsReward(Setup.Reward, judge) is null ? RunChecks.JudgeSaysTheSame(rewards, Recipe.Locations.Of("judge", () => CheckedScores.Of(judge, responses, cancellationToken))) : null;
        return [.. findings.Select(Placed), .. new[] { RunChecks.ConstantReward(rewards) is { } constant ? Placed(constant with { Key = "reward" }) : null, same is null ? null : Placed(same with { Key = "judge" }) }.OfType<Finding>()];
    }

    /// <summary>Looks for held-out rows that can't be scored, before anything answers them.</summary>
    /// <exception cref="InputException">There are some; names a row and the recipe's key.</exception>
    public void RequireHeldOutRows()
    {
        var heldOut = Evaluator?.Prompts ?? [];
        var lacking = RunChecks.RowsThatCanNotBeScored("reward", Setup.Reward, [], heldOut).Concat(RunChecks.RowsThatCanNotBeScored("judge", Judge, [], heldOut)).FirstOrDefault(finding => finding.Severity == Severity.Error);
        if (lacking is not null) throw new InputException(Placed(lacking).Message);
    }

    /// <summary>A finding with the place of the key that it is about.</summary>
    private Finding Placed(Finding finding) => finding.Key is { } key ? finding with { Message = Recipe.Locations.Say(key, finding.Message) } : finding;

    /// <summary>Trains, and writes what happens into the run's folder, which this process then has for itself.</summary>
    /// <param name="resume">Go on from the folder's newest checkpoint; a run that has none begins anew. As it was said to <see cref="Own"/>, where the run was made by it.</param>
    /// <param name="log">Told after the folder's log; null for nobody.</param>
    /// <param name="cancellationToken">Stops where nothing is lost.</param>
    /// <returns>The state after the last iteration.</returns>
    /// <exception cref="OperationCanceledException">It was stopped; whole iterations are saved.</exception>
    /// <exception cref="InputException">The folder holds another run or has another owner, its newest checkpoint is damaged, or a file can't be read or written.</exception>
    public TrainingState Train(bool resume, IRunLog? log, CancellationToken cancellationToken)
    {
        var claim = _ranks.Rank != 0 ? null : _claim ??= RunClaim.Take(Recipe, resume, Command);
        // Checked before the critics are made: what is impossible has a clearer message here.
        TrainingChecks.ThrowIfImpossible(Setup);
        var schedule = new TrainingSchedule { EvaluateEvery = Recipe.Evaluation.Every, SamplesEvery = Recipe.Evaluation.Every, CheckpointEvery = Recipe.Checkpoints.Every };
        List<IRunLog> told = [];
        using var training = new GuidedTraining(Setup, schedule, new RunLogs(told), Evaluator);
        CheckpointFolder Checkpoints(string folder) => new(folder, Setup, training.Critics, training.Learner, Recipe.Checkpoints.Keep);
        var own = claim is null ? null : Checkpoints(Folder.CheckpointsFolder);
        using var logs = claim is null ? null : Begin(claim, own!, schedule, log);
        told.AddRange(logs?.All ?? []);
        var (isResumed, evaluatesGuide) = Dealt.ByFirst(
            _ranks, () => (claim!.IsResumed, EvaluatesGuide && !Folder.HasGuideEvaluation(Evaluator!.Prompts.Count)), (writer, said) =>
            {
                writer.Write(said.Item1);
                writer.Write(said.Item2);
            }, reader => (reader.ReadBoolean(), reader.ReadBoolean()));
        if (evaluatesGuide)
        {
            var ofGuide = Evaluator!.Evaluate(Setup.Guide!, cancellationToken);
            logs?.Folder.GuideEvaluation(ofGuide);
        }

        return training.Run(new RankedCheckpoints(_ranks, own, Checkpoints, training.Learner), isResumed, cancellationToken);
    }

    /// <summary>Opens the run's logs, and says how it begins.</summary>
    private OpenLogs Begin(RunClaim claim, CheckpointFolder store, TrainingSchedule schedule, IRunLog? log)
    {
        var resume = claim.IsResumed;
        var done = resume ? store.NewestIteration : null;
        if (done > Recipe.Iterations) throw Recipe.Refusal("iterations", $"{Recipe.Iterations} are fewer than the {done} that the run has done; a run can be made longer, not shorter");
        // Before the log is cut to the checkpoint.
        string[] notes = resume ? [.. claim.Notes, .. store.Notes, .. Folder.Missing(done ?? 0, count => Evaluator is not null && schedule.IsEvaluated(count, Recipe.Iterations))] : [];
        var logs = claim.Open(Description, done ?? 0, FolderRunLog.Resume, log);
        try
        {
            new RunLogs(logs.All).Started(new RunStart(done ?? 0, Recipe.Iterations, done is not null, notes));
            return logs;
        }
        catch
        {
            logs.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Setup.Reference.Dispose();
        (Setup.Writer as IDisposable)?.Dispose();
        _parts.Dispose();
        _claim?.Dispose();
    }

    private TrainingSetup NewSetup(ILanguageModel reference)
    {
        var (sampling, places) = (RecipeParts.EndingAsModel(Recipe.Generation, Policy.EndTokens), _parts.Placement);
        return new TrainingSetup
        {
            Policy = Policy.Model,
            Reference = reference,
            Tokenizer = Policy.Tokenizer,
            Guide = Recipe.Locations.Of("guide", () => GuideElsewhere.Of(_ranks, _parts.Guide())),
            Ranks = _ranks,
            Reward = _parts.Reward(),
            NormaliseReward = Recipe.Reward.Normalise,
            Prompts = _parts.TrainingPrompts,
            Sampling = sampling,
            Algorithm = Recipe.Algorithm.ToSettings(),
            CriticSharing = Recipe.Critic.Sharing,
            Writer = new ModelWriter(Policy.Model, places.Rollouts.IsSame(places.Policy) ? null : PrecisionOfModels.CopyAs(Policy.Model, places.Rollouts.Precision, places.Rollouts.Device)),
            CriticDevice = places.Critic.Device,
            BootstrapCutRows = Recipe.Critic.BootstrapCutRows,
            Supervised = Recipe.Supervised,
            GuideWorth = Recipe.GuideWorth,
            Tripwires = Recipe.Tripwires,
            Kl = Recipe.Kl,
            Update = Recipe.Update,
            Iterations = Recipe.Iterations,
            RowsPerIteration = Recipe.RowsPerIteration,
            Seed = Recipe.Seed,
        };
    }

    private bool EvaluatesGuide => Evaluator is not null && Setup.Guide is { } guide && (Recipe.Evaluation.Guide ?? !guide.IsRemote);

    private Evaluator? NewEvaluator(ILanguageModel reference)
    {
        if (Recipe.Data.EvaluationPath is null) return null;
        var evaluator = EvaluatorOf(reference);
        // What a row lacks is better said before anything is written.
        _ = Recipe.Locations.Of("evaluation.by", () => evaluator.Groups);
        return evaluator;
    }

    private Evaluator EvaluatorOf(ILanguageModel reference) => new()
    {
        Prompts = _parts.Prompts(heldOut: true, Recipe.Evaluation.Prompts),
        Sampling = RecipeParts.EndingAsModel(Recipe.Evaluation.Decoding!, Policy.EndTokens),
        Reward = Setup.Reward,
        Judge = Judge,
        Reference = reference,
        Tokenizer = Policy.Tokenizer,
        Seed = EvaluationSeed,
        Ranks = _ranks,
        By = Recipe.Evaluation.By,
    };

    private RunDescription Description => new(Recipe.Name, Setup.Algorithm.Name, Recipe.Seed, Setup.Guide?.Name);

    /// <summary>That ids in a section of the recipe are the policy's.</summary>
    private void RequireIds(string key, SamplingSettings sampling) => Recipe.Locations.Of(key, () =>
    {
        sampling.Validate(Policy.Model.Shape.Vocabulary);
        return sampling;
    });

    private Response[] FirstResponses(CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        var prompts = Setup.Prompts.Take(RowsToCheck).ToArray();
        var requests = Enumerable.Range(0, RowsToCheck).Select(row => new GenerationRequest(new TokenRow(prompts[row % prompts.Length].Tokens, []), (ulong)row)).ToArray();
        CheckedRows.Update(Setup.EvaluationWriter, cancellationToken);
        var written = CheckedRows.Of(Setup.EvaluationWriter, requests, Setup.Sampling, Setup.Seed, cancellationToken);
        return [.. written.Select((row, i) =>
        {
            var prompt = prompts[i % prompts.Length];
            return new Response(prompt, ResponseText.Decode(Setup.Tokenizer, Setup.Policy.Shape, row.Ended ? row.Tokens.AsSpan(..^1) : row.Tokens), row.Tokens, row.Ended)
            {
                StandsAlone = Setup.Policy.Shape.ReadsPromptApart,
            };
        })];
    }
}
