using System.Globalization;
using System.Text.Json;
using Rlgf.Models.Optimizers;
using Rlgf.Text;

namespace Rlgf.Supervised;

/// <summary>What must be the same in a training that is resumed.</summary>
internal sealed record RunIdentity(int Steps, int RowsPerStep, ulong Seed, int Examples);

/// <summary>Where a training is, between two steps.</summary>
internal sealed record SupervisedState(int Step, int BestStep, IReadOnlyDictionary<string, double> BestHeldOut, IReadOnlyDictionary<string, double> LastHeldOut);

/// <summary>
/// Checkpoints of a training, in <c>resume/step-0000500</c> of its folder: weights, the optimiser's state, <c>state.json</c>. One is written under a temporary name, renamed when
/// it is whole, and only then is the one before removed. A training that has ended leaves none.
/// </summary>
internal sealed class SupervisedCheckpoints(string folder, ISupervisedTask task, FusedAdamW optimizer, RunIdentity identity)
{
    private const string Prefix = "step-", Unfinished = ".unfinished";
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private readonly string _folder = Path.Combine(folder, "resume");

    /// <summary>Starts afresh, or from the newest checkpoint.</summary>
    /// <exception cref="InputException">There is a checkpoint and nobody asked to resume, or the reverse, or it belongs to other settings.</exception>
    public SupervisedState Begin(bool resume)
    {
        var newest = Whole().LastOrDefault();
        if (!resume)
        {
            return newest is null
                ? new SupervisedState(0, 0, new Dictionary<string, double>(), new Dictionary<string, double>())
                : throw new InputException($"{newest}: a training was stopped here. Resume it, or remove {_folder} to start afresh.");
        }

        if (newest is null) throw new InputException($"{_folder}: there is no checkpoint to resume from.");
        var path = Path.Combine(newest, "state.json");
        Saved saved;
        try
        {
            saved = JsonSerializer.Deserialize<Saved>(File.ReadAllText(path), Json) ?? throw new JsonException("it is empty");
        }
        catch (Exception failure) when (failure is JsonException or IOException)
        {
            throw new InputException($"{path}: it can't be read ({failure.Message.ReplaceLineEndings(" ")}); remove {newest}.", failure);
        }

        if (saved.Identity != identity) throw new InputException($"{path}: the checkpoint belongs to other settings or data: it has {saved.Identity}, this training {identity}.");
        task.Load(Path.Combine(newest, "model"));
        optimizer.Load(Path.Combine(newest, "optimizer.safetensors"));
        return saved.State;
    }

    public void Save(SupervisedState state)
    {
        var name = Path.Combine(_folder, Prefix + state.Step.ToString("D7", CultureInfo.InvariantCulture));
        if (Directory.Exists(name)) return;
        var unfinished = name + Unfinished;
        if (Directory.Exists(unfinished)) Directory.Delete(unfinished, recursive: true);
        Directory.CreateDirectory(unfinished);
        task.Save(Path.Combine(unfinished, "model"));
        optimizer.Save(Path.Combine(unfinished, "optimizer.safetensors"));
        AtomicFile.WriteText(Path.Combine(unfinished, "state.json"), JsonSerializer.Serialize(new Saved(identity, state), Json));
        Directory.Move(unfinished, name);
        foreach (var old in Whole().SkipLast(1)) Directory.Delete(old, recursive: true);
    }

    /// <summary>Removes what only a resume needs.</summary>
    public void Finish()
    {
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
    }

    private IEnumerable<string> Whole() => Directory.Exists(_folder)
        ? [.. Directory.GetDirectories(_folder, Prefix + "*").Where(path => !path.EndsWith(Unfinished, StringComparison.Ordinal)).Order(StringComparer.Ordinal)]
        : [];

    private sealed record Saved(RunIdentity Identity, SupervisedState State);
}
