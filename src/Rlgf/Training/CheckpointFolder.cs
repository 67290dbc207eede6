using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Lessons;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Loading;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Worth;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>
/// Checkpoints as folders: <c>iteration-00010/policy</c> is a Hugging Face folder that other tools load; beside it lie the critics, the optimisers and <c>state.json</c>, with the checksums of all.
/// A checkpoint is written under a temporary name and renamed when it is whole and on disk; only then does the oldest go.
/// </summary>
/// <param name="folder">Where checkpoints go.</param>
/// <param name="setup">The run.</param>
/// <param name="critics">The run's critics.</param>
/// <param name="learner">The run's optimisers.</param>
/// <param name="keep">How many to keep, the newest; at least 1.</param>
public sealed class CheckpointFolder(string folder, TrainingSetup setup, Critics critics, Learner learner, int keep = 2) : ICheckpointStore
{
    private readonly CheckpointStore<SavedState> _store = new(folder, CheckpointNaming.Iterations, keep, state => state.Iteration, state => state.Tripwires?.Good);

    private const string GuideFile = "guide_state.bin", LessonsFile = "lessons.bin", CutsFile = "cuts.json", WorthFile = "worth.json";

    /// <summary>Iterations done at the newest checkpoint, or null where there is none. Compares all its files with their checksums, once.</summary>
    /// <exception cref="InputException">The newest checkpoint is damaged; names it, and the one before that is whole.</exception>
    public int? NewestIteration => _store.Newest?.Number;

    /// <summary>The newest checkpoint's folder, or null where there is none.</summary>
    internal string? NewestPath => _store.Newest?.Path;

    /// <summary>What a user should know about the newest checkpoint, one line each.</summary>
    public IReadOnlyList<string> Notes => _store.Newest?.Notes ?? [];

    /// <summary>Whether the checkpoint after so many iterations is there, so that saving it would write nothing.</summary>
    internal bool Holds(int iteration) => _store.Holds(iteration);

    /// <inheritdoc/>
    public void Save(TrainingState state) => _store.Save(SavedState.Of(state), inside => Write(inside, state));

    /// <inheritdoc/>
    public TrainingState? LoadNewest() => _store.Newest is { } newest ? Load(newest) : null;

    /// <inheritdoc/>
    public TrainingState GoBack(int iteration, Func<TrainingState, TrainingState> decided)
    {
        ArgumentNullException.ThrowIfNull(decided);
        var state = decided(Load(_store.At(iteration)));
        _store.GoBack(SavedState.Of(state));
        return state;
    }

    private TrainingState Load(Checkpoint<SavedState> newest)
    {
        LanguageModelFolder.LoadWeights(setup.Policy, Path.Combine(newest.Path, "policy"));
        var criticsPath = Path.Combine(newest.Path, "critics.safetensors");
        using (var file = SafetensorsFile.Open(criticsPath))
        using (no_grad())
            foreach (var (name, parameter) in critics.NamedParameters())
            {
                if (!file.Entries.ContainsKey(name)) throw new InputException($"{criticsPath}: there is no tensor '{name}': the checkpoint is of another algorithm or critic; resume with the recipe it was made with.");
                file.CopyTo(name, parameter);
            }
        learner.PolicyOptimizer.Load(Path.Combine(newest.Path, "policy_optimizer.safetensors"));
        learner.CriticOptimizer.Load(Path.Combine(newest.Path, "critic_optimizer.safetensors"));
        var guide = RestoreGuide(newest.Path);
        var saved = newest.State;
        var kl = setup.Kl.NewController();
        // A fixed coefficient is the recipe's, which may have been changed, and what going back made of it; an adaptive one holds both.
        kl = kl.Target is null ? kl.Raised(saved.Tripwires?.Raised ?? 1) : kl.Restore(new(saved.KlCoefficient));
        return new(saved.Iteration, kl, new GuidanceGap(saved.SmoothedGap), saved.PolicyTokens, saved.GuideTokens)
        {
            Rewards = saved.Rewards ?? new(),
            Guide = guide,
            Lessons = setup.Algorithm.Lessons is null ? null : LessonFile.Read(Needed(newest.Path, LessonsFile, "another algorithm, which remembers no lessons")),
            Cuts = setup.Algorithm.CutWithState is null ? null : CutState.Read(Needed(newest.Path, CutsFile, "another algorithm, whose cuts know nothing of a prompt")),
            // The run's own, whatever its recipe says now.
            Tripwires = saved.Tripwires ?? (setup.Tripwires is null ? null : TripwireState.New),
            Worth = setup.GuideWorth is null ? null : GuideWorth.Read(Needed(newest.Path, WorthFile, "a run that doesn't measure what the guide is worth")),
        };
    }

    /// <summary>Gives a guide that has a state the one of a checkpoint.</summary>
    private byte[]? RestoreGuide(string checkpoint)
    {
        if (setup.Guide is not IStatefulGuide guide) return null;
        var state = RegularFile.ReadBytes(Needed(checkpoint, GuideFile, $"another guide than '{guide.Name}', which has a state"));
        guide.RestoreState(state);
        return state;
    }

    private static string Needed(string checkpoint, string file, string isOf) => Path.Combine(checkpoint, file) is var path && File.Exists(path)
        ? path
        : throw new InputException($"{path} is missing: the checkpoint is of {isOf}; resume with the recipe it was made with.");

    /// <summary>The policy of the newest checkpoint in a folder, compared with its checksums, and how many iterations made it; null where there is none.</summary>
    /// <param name="folder">Where a run's checkpoints are.</param>
    /// <exception cref="InputException">The newest checkpoint is damaged.</exception>
    public static (string Path, int Iteration)? NewestPolicy(string folder) =>
        new CheckpointStore<SavedState>(folder, CheckpointNaming.Iterations, 1, state => state.Iteration).Newest is { } newest ? (System.IO.Path.Combine(newest.Path, "policy"), newest.Number) : null;

    private void Write(string inside, TrainingState state)
    {
        var policy = Path.Combine(inside, "policy");
        LanguageModelFolder.Save(setup.Policy, policy);
        setup.Tokenizer.Save(policy);
        SafetensorsWriter.Write(Path.Combine(inside, "critics.safetensors"), critics.NamedParameters().Select(named => KeyValuePair.Create<string, Tensor>(named.Name, named.Parameter)));
        learner.SaveState(Path.Combine(inside, "policy_optimizer.safetensors"), Path.Combine(inside, "critic_optimizer.safetensors"));
        if (state.Lessons is { } lessons) AtomicFile.Write(Path.Combine(inside, LessonsFile), stream => LessonFile.Write(stream, lessons));
        if (state.Cuts is { } cuts) AtomicFile.Write(Path.Combine(inside, CutsFile), cuts.Write);
        if (state.Worth is { } worth) AtomicFile.Write(Path.Combine(inside, WorthFile), worth.Write);
        if (state.Guide is { } guide) AtomicFile.Write(Path.Combine(inside, GuideFile), stream => stream.Write(guide));
    }

    private sealed record SavedState(int Iteration, double KlCoefficient, double? SmoothedGap, long PolicyTokens, long GuideTokens, RunningMoments? Rewards = null, TripwireState? Tripwires = null)
    {
        public static SavedState Of(TrainingState state) =>
            new(state.Iteration, state.Kl.State.Coefficient, state.Gap.Smoothed, state.PolicyTokens, state.GuideTokens, state.Rewards, state.Tripwires);
    }
}
