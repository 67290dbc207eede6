using System.Globalization;
using System.Text.Json;
using Rlgf.Algorithms;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Checkpoints;
using Rlgf.Text;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>
/// Checkpoints as folders: <c>iteration-00010/policy</c> is a Hugging Face folder that other tools load; beside it lie the critics, the optimisers and the state.
/// A checkpoint is written under a temporary name and renamed when it is whole.
/// </summary>
/// <param name="folder">Where checkpoints go.</param>
/// <param name="setup">The run.</param>
/// <param name="critics">The run's critics.</param>
/// <param name="learner">The run's optimisers.</param>
/// <param name="keep">How many to keep, the newest; at least 1.</param>
public sealed class CheckpointFolder(string folder, TrainingSetup setup, Critics critics, Learner learner, int keep = 2) : ICheckpointStore
{
    private const string Prefix = "iteration-", Unfinished = ".unfinished";
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>The policy's folder in the newest whole checkpoint, or null.</summary>
    public string? NewestPolicy => Newest() is { } newest ? Path.Combine(newest, "policy") : null;

    /// <summary>Iterations done at the newest whole checkpoint, or null where there is none.</summary>
    public int? NewestIteration => Newest() is { } newest ? int.Parse(Path.GetFileName(newest)[Prefix.Length..], CultureInfo.InvariantCulture) : null;

    /// <inheritdoc/>
    public void Save(TrainingState state)
    {
        var name = Path.Combine(folder, Prefix + state.Iteration.ToString("D5", CultureInfo.InvariantCulture));
        var unfinished = name + Unfinished;
        try
        {
            Write(state, unfinished);
        }
        catch
        {
            // On a full disk, what can't be finished must not keep the rest of the run from being written.
            if (Directory.Exists(unfinished)) Directory.Delete(unfinished, recursive: true);
            throw;
        }

        if (Directory.Exists(name)) Directory.Delete(name, recursive: true);
        Directory.Move(unfinished, name);
        foreach (var old in Whole().SkipLast(Math.Max(1, keep))) Directory.Delete(old, recursive: true);
    }

    private void Write(TrainingState state, string unfinished)
    {
        if (Directory.Exists(unfinished)) Directory.Delete(unfinished, recursive: true);
        Directory.CreateDirectory(unfinished);
        var policy = Path.Combine(unfinished, "policy");
        LanguageModelFolder.Save(setup.Policy, policy);
        setup.Tokenizer.Save(policy);
        SafetensorsWriter.Write(Path.Combine(unfinished, "critics.safetensors"), critics.NamedParameters().Select(named => KeyValuePair.Create<string, Tensor>(named.Name, named.Parameter)));
        learner.PolicyOptimizer.Save(Path.Combine(unfinished, "policy_optimizer.safetensors"));
        learner.CriticOptimizer.Save(Path.Combine(unfinished, "critic_optimizer.safetensors"));
        File.WriteAllText(Path.Combine(unfinished, "state.json"), JsonSerializer.Serialize(
            new SavedState(state.Iteration, state.Kl.State.Coefficient, state.Gap.Smoothed, state.PolicyTokens, state.GuideTokens), Json));
    }

    /// <inheritdoc/>
    public TrainingState? LoadNewest()
    {
        if (Newest() is not { } newest) return null;
        LanguageModelFolder.LoadWeights(setup.Policy, Path.Combine(newest, "policy"));
        var criticsPath = Path.Combine(newest, "critics.safetensors");
        using (var file = SafetensorsFile.Open(criticsPath))
        using (no_grad())
            foreach (var (name, parameter) in critics.NamedParameters())
            {
                if (!file.Entries.ContainsKey(name)) throw new InputException($"{criticsPath}: there is no tensor '{name}': the checkpoint is of another algorithm or critic; resume with the recipe it was made with.");
                file.CopyTo(name, parameter);
            }
        learner.PolicyOptimizer.Load(Path.Combine(newest, "policy_optimizer.safetensors"));
        learner.CriticOptimizer.Load(Path.Combine(newest, "critic_optimizer.safetensors"));
        var statePath = Path.Combine(newest, "state.json");
        try
        {
            var saved = JsonSerializer.Deserialize<SavedState>(File.ReadAllText(statePath), Json)!;
            return new(saved.Iteration, setup.Kl.NewController().Restore(new(saved.KlCoefficient)), new GuidanceGap(saved.SmoothedGap), saved.PolicyTokens, saved.GuideTokens);
        }
        catch (Exception exception) when (exception is JsonException or IOException or NullReferenceException)
        {
            throw new InputException($"{statePath}: it can't be read ({exception.Message.ReplaceLineEndings(" ")}); remove this checkpoint to go on from the one before.", exception);
        }
    }

    private string? Newest() => Whole().LastOrDefault();

    private IEnumerable<string> Whole() => Directory.Exists(folder)
        ? Directory.GetDirectories(folder, Prefix + "*").Where(path => !path.EndsWith(Unfinished, StringComparison.Ordinal)).Order(StringComparer.Ordinal)
        : [];

    private sealed record SavedState(int Iteration, double KlCoefficient, double? SmoothedGap, long PolicyTokens, long GuideTokens);
}
