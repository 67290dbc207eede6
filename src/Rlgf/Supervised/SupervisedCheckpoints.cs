using Rlgf.Base;
using Rlgf.Models.Optimizers;
using Rlgf.Runs;

namespace Rlgf.Supervised;

/// <summary>What must be the same in a training that is resumed.</summary>
internal sealed record RunIdentity(int Steps, int RowsPerStep, ulong Seed, int Examples);

/// <summary>Where a training is, between two steps.</summary>
internal sealed record SupervisedState(int Step, int BestStep, IReadOnlyDictionary<string, double> BestHeldOut, IReadOnlyDictionary<string, double> LastHeldOut);

/// <summary>
/// Checkpoints of a training, in <c>resume/step-0000500</c> of its folder: weights, the optimiser's state, <c>state.json</c>; the two newest are kept. A training that has ended leaves none.
/// </summary>
internal sealed class SupervisedCheckpoints(string folder, ISupervisedTask task, FusedAdamW optimizer, RunIdentity identity)
{
    private readonly string _folder = Path.Combine(folder, "resume");
    private readonly CheckpointStore<Saved> _store = new(Path.Combine(folder, "resume"), CheckpointNaming.Steps, keep: 2, saved => saved.State.Step);

    /// <summary>What a user should know about the checkpoint that the training goes on from, one line each.</summary>
    public IReadOnlyList<string> Notes { get; private set; } = [];

    /// <summary>Starts afresh, or from the newest checkpoint where there is one.</summary>
    /// <exception cref="InputException">There is a checkpoint and nobody asked to resume, or it is damaged, or belongs to other settings.</exception>
    public SupervisedState Begin(bool resume)
    {
        if (!resume)
        {
            return !CheckpointNaming.Steps.AnyIn(_folder) ? Beginning : throw new InputException($"{_folder}: a training was stopped here. Resume it, or remove {_folder} to start afresh.");
        }

        if (_store.Newest is not { } newest) return Beginning;
        if (newest.State.Identity != identity)
            throw new InputException($"{newest.Path}: the checkpoint belongs to other settings or data: it has {newest.State.Identity}, this training {identity}.");
        task.Load(Path.Combine(newest.Path, "model"));
        optimizer.Load(Path.Combine(newest.Path, "optimizer.safetensors"));
        Notes = newest.Notes;
        return newest.State.State;
    }

    public void Save(SupervisedState state) => _store.Save(new Saved(identity, state), inside =>
    {
        task.Save(Path.Combine(inside, "model"));
        optimizer.Save(Path.Combine(inside, "optimizer.safetensors"));
    });

    /// <summary>Removes what only a resume needs.</summary>
    public void Finish() => _store.Clear();

    private static SupervisedState Beginning => new(0, 0, new Dictionary<string, double>(), new Dictionary<string, double>());

    private sealed record Saved(RunIdentity Identity, SupervisedState State);
}
