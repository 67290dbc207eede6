using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.Composition;

/// <summary>The logs of a run that has begun or goes on, told in this order: its folder's, those that the recipe names, and the caller's.</summary>
internal sealed class OpenLogs : IDisposable
{
    private readonly List<OwnLog> _named = [];

    /// <summary>Makes those that the recipe names.</summary>
    /// <param name="folder">The folder's; disposed with the others, or if one can't be made.</param>
    /// <param name="recipe">The recipe.</param>
    /// <param name="services">Where the run is and how far.</param>
    /// <param name="log">The caller's, which stays its own; null for none.</param>
    /// <exception cref="Base.InputException">One can't be made; names file, line and key.</exception>
    public OpenLogs(FolderRunLog folder, RunRecipe recipe, RunLogServices services, IRunLog? log)
    {
        Folder = folder;
        try
        {
            foreach (var (i, section) in recipe.Logs.Index())
                _named.Add(recipe.Locations.Of(FormattableString.Invariant($"logs.{i}"), () => new OwnLog(recipe.Kinds.Logs.Make(section, services))));
        }
        catch
        {
            Dispose();
            throw;
        }

        All = log is null ? [folder, .. _named] : [folder, .. _named, log];
    }

    /// <summary>The folder's.</summary>
    public FolderRunLog Folder { get; }

    /// <summary>All, in their order.</summary>
    public IReadOnlyList<IRunLog> All { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Folder.Dispose();
        foreach (var log in _named) log.Dispose();
    }
}
