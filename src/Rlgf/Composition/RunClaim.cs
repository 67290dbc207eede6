using Rlgf.Base;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.Composition;

/// <summary>
/// A run's folder, taken for this process before anything is loaded: the output is one that a run can have, nobody else has it, it holds no run that would be lost, and a run that goes on has
/// the recipe and the files that it was begun with. The same for every kind of training.
/// </summary>
internal sealed class RunClaim : IDisposable
{
    private readonly RunOwnership _ownership;
    private readonly RunRecipe _recipe;
    private readonly RunInputs _inputs;
    private readonly int _ranks;

    private RunClaim(RunOwnership ownership, RunRecipe recipe, bool isResumed, RunInputs inputs, IReadOnlyList<string> notes, int ranks) =>
        (_ownership, _recipe, IsResumed, _inputs, Notes, _ranks) = (ownership, recipe, isResumed, inputs, notes, ranks);

    /// <summary>Whether the folder holds a run, which goes on; otherwise one begins.</summary>
    public bool IsResumed { get; }

    /// <summary>What is not as it should be and does not keep the run from going on, one line each.</summary>
    public IReadOnlyList<string> Notes { get; }

    /// <summary>Takes a recipe's output.</summary>
    /// <param name="recipe">The recipe, resolved.</param>
    /// <param name="resume">Whether to go on with the run that the folder holds; where it holds none, one begins.</param>
    /// <param name="command">The command that goes on with such a run, for messages.</param>
    /// <param name="ranks">Processes that train together, of which this one has the folder.</param>
    /// <exception cref="InputException">Another process has it, it can't be written, it holds another run, or the run's recipe or files have changed.</exception>
    public static RunClaim Take(RunRecipe recipe, bool resume, string command, int ranks = 1)
    {
        var folder = new RunFolder(recipe.Output!);
        var ownership = recipe.Locations.Of("output", () => RunOwnership.Take(folder.Path));
        try
        {
            if (!resume && folder.HoldsRun) throw recipe.Refusal("output", $"{folder.Path}: holds a run already; go on with --resume, or choose another folder");
            var isResumed = folder.HoldsRun;
            if (isResumed && folder.Obstacle is { } obstacle) throw recipe.Refusal("output", $"{folder.Path}: {obstacle}; begin another training from its model (model.path), or choose another folder");
            IEnumerable<string> changes = [];
            if (isResumed && File.Exists(folder.RecipePath))
            {
                RecipeOfRun.RequireSame(folder.RecipePath, recipe, command);
                changes = RecipeOfRun.Changes(folder.RecipePath, recipe);
            }

            var inputs = RunInputs.Of(recipe);
            IEnumerable<string> notes = !isResumed ? []
                : RunInputs.Read(folder) is { } began ? began.RequireSame(inputs, recipe)
                : [$"{folder.Path}: the run was begun before runs kept what their files were (inputs.json): whether data and models are still the same can't be seen"];
            return new(ownership, recipe, isResumed, inputs, [.. changes, .. notes, .. isResumed ? EnvironmentNotes(folder, ranks) : []], ranks);
        }
        catch
        {
            ownership.Dispose();
            throw;
        }
    }

    /// <summary>Opens the run's logs, once it is sure that it begins or goes on, and writes the recipe that it now has and, where there is none yet, what it is and what its files are.</summary>
    /// <param name="description">What the run is.</param>
    /// <param name="done">Iterations or steps that are done.</param>
    /// <param name="goOn">Opens the folder's log where the run goes on.</param>
    /// <param name="log">Told last; null for nobody.</param>
    /// <exception cref="InputException">A file can't be read or written, or a log of the recipe can't be made.</exception>
    public OpenLogs Open(RunDescription description, int done, Func<RunFolder, int, FolderRunLog> goOn, IRunLog? log)
    {
        var folder = new RunFolder(_recipe.Output!);
        var folderLog = IsResumed ? goOn(folder, done) : FolderRunLog.Begin(folder, description, RunEnvironment.Capture(_ranks) with { PolicyPrecision = _recipe.TrainedIn });
        try
        {
            Keep(folder);
            if (!File.Exists(folder.DescriptionPath)) RunJson.WriteFile(folder.DescriptionPath, description);
        }
        catch
        {
            folderLog.Dispose();
            throw;
        }

        return new OpenLogs(folderLog, _recipe, new RunLogServices(folder, description, done), log);
    }

    /// <summary>A run goes on anywhere; that it isn't bit for bit is said.</summary>
    private static IEnumerable<string> EnvironmentNotes(RunFolder folder, int ranks)
    {
        if (!File.Exists(folder.EnvironmentPath)) return [];
        try
        {
            return RunEnvironment.Capture(ranks).DifferencesFrom(folder.ReadEnvironment()) is { Count: > 0 } differences
                ? [$"{folder.Path}: {string.Join(", ", differences)}: from here on the numbers are the same but for rounding, not bit for bit"] : [];
        }
        catch (InputException damaged)
        {
            // The report at the end would fail at it.
            throw new InputException($"{damaged.Message}; delete the file, which says only where the run began", damaged);
        }
    }

    /// <summary>Writes the recipe that the run now has and, where there is none yet, what its files are.</summary>
    public void Keep(RunFolder folder)
    {
        AtomicFile.WriteText(folder.RecipePath, RecipeOfRun.Write(_recipe, folder.Path));
        if (!IsResumed || !File.Exists(folder.InputsPath)) _inputs.Write(folder);
    }

    /// <inheritdoc/>
    public void Dispose() => _ownership.Dispose();
}
