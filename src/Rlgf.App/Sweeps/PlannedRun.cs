using Rlgf.Base;
using Rlgf.Recipes;
using Rlgf.Runs;
using Rlgf.Training;

namespace Rlgf.App.Sweeps;

/// <summary>One run of a sweep.</summary>
/// <param name="Name">Its folder below the sweep's, such as <c>switch_iteration-5/seed-1</c>.</param>
/// <param name="Values">What it has of each of the sweep's keys, in their order.</param>
/// <param name="Seed">Its seed.</param>
/// <param name="RecipeFile">The recipe that it is made from.</param>
/// <param name="Changes">All changes to that.</param>
/// <param name="Recipe">The recipe with the changes, resolved.</param>
internal sealed record PlannedRun(string Name, IReadOnlyList<string> Values, ulong Seed, string RecipeFile, IReadOnlyList<RecipeChange> Changes, TrainRecipe Recipe)
{
    /// <summary>Its folder.</summary>
    public RunFolder Folder { get; } = new(Recipe.Output!);

    /// <summary>What the run says on standard error, beside its folder.</summary>
    public string LogPath => Folder.Path + ".log";

    /// <summary>Arguments of the command that begins it or goes on with it.</summary>
    public IEnumerable<string> Arguments => ["train", RecipeFile, "--resume", .. Changes.SelectMany(change => (string[])["--set", change.Text])];

    /// <summary>Whether all iterations are done, saved and evaluated. What is damaged or cut is not: the run itself has more to say about it.</summary>
    public bool IsDone
    {
        get
        {
            try
            {
                return Folder.HoldsRun && CheckpointFolder.NewestPolicy(Folder.CheckpointsFolder)?.Iteration == Recipe.Iterations && Folder.ReadEvaluations().Any(evaluation => evaluation.Iteration == Recipe.Iterations);
            }
            catch (Exception failure) when (failure is InputException or IOException or UnauthorizedAccessException)
            {
                return false;
            }
        }
    }

    /// <summary>Iterations that have been written down, while it goes on too.</summary>
    public int Iterations
    {
        get
        {
            try
            {
                // Whoever writes it goes on writing.
                using var file = RegularFile.Open(Folder.MetricsPath, FileShare.ReadWrite | FileShare.Delete);
                var buffer = new byte[1 << 16];
                var lines = 0;
                while (file.Read(buffer) is > 0 and var count) lines += buffer.AsSpan(0, count).Count((byte)'\n');
                return Math.Min(lines, Recipe.Iterations);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                return 0;
            }
        }
    }
}
