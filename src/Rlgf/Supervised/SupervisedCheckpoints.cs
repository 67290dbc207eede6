using Rlgf.Base;
using Rlgf.Models.Optimizers;
using Rlgf.Runs;

namespace Rlgf.Supervised;

/// <summary>What must be the same in a training that is resumed.</summary>
internal sealed record RunIdentity(int RowsPerStep, ulong Seed, int Examples);

/// <summary>Where a training is, between two steps.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Steps">Steps of the whole training, as it was then.</param>
/// <param name="BestStep">Steps after which the held-out loss was lowest.</param>
/// <param name="BestHeldOut">What was measured then; empty before the first.</param>
/// <param name="LastHeldOut">What was measured last.</param>
internal sealed record SupervisedState(int Step, int Steps, int BestStep, IReadOnlyDictionary<string, double> BestHeldOut, IReadOnlyDictionary<string, double> LastHeldOut);

/// <summary>Checkpoints of a training, such as <c>step-0000500</c>: weights, the optimiser's state, <c>state.json</c>.</summary>
/// <param name="folder">Where they go.</param>
/// <param name="task">What is learned.</param>
/// <param name="optimizer">Whose state is kept.</param>
/// <param name="identity">What must be the same in a training that goes on.</param>
/// <param name="keep">How many to keep, the newest; at least 1.</param>
internal sealed class SupervisedCheckpoints(string folder, ISupervisedTask task, FusedAdamW optimizer, RunIdentity identity, int keep)
{
    private readonly CheckpointStore<Saved> _store = new(folder, CheckpointNaming.Steps, keep, saved => saved.State.Step);

    /// <summary>The state of the newest checkpoint, or null where there is none. Compares all its files with their checksums, once.</summary>
    /// <exception cref="InputException">The newest checkpoint is damaged; names it, and the one before that is whole.</exception>
    public SupervisedState? Newest => _store.Newest?.State.State;

    /// <summary>What a user should know about the newest checkpoint, one line each.</summary>
    public IReadOnlyList<string> Notes => _store.Newest?.Notes ?? [];

    /// <summary>Whether there is any checkpoint, whole or not.</summary>
    public bool Any => CheckpointNaming.Steps.AnyIn(folder);

    /// <summary>Gives model and optimiser what the newest checkpoint has; null where there is none.</summary>
    /// <exception cref="InputException">It is damaged, or belongs to other settings.</exception>
    public SupervisedState? LoadNewest()
    {
        if (_store.Newest is not { } newest) return null;
        if (newest.State.Identity != identity)
            throw new InputException($"{newest.Path}: the checkpoint belongs to other settings or data: it has {newest.State.Identity}, this training {identity}.");
        task.Load(Path.Combine(newest.Path, "model"));
        optimizer.Load(Path.Combine(newest.Path, "optimizer.safetensors"));
        return newest.State.State;
    }

    public void Save(SupervisedState state) => _store.Save(new Saved(identity, state), inside =>
    {
        task.Save(Path.Combine(inside, "model"));
        optimizer.Save(Path.Combine(inside, "optimizer.safetensors"));
    });

    private sealed record Saved(RunIdentity Identity, SupervisedState State);
}
