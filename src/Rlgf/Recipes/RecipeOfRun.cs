using Rlgf.Base;

namespace Rlgf.Recipes;

/// <summary>
/// The recipe that a run keeps in its folder. A run is its folder: paths that were relative are kept relative to it, so that they lead to the same files from any current folder and after
/// folder and files were moved together; <c>output</c> only says where it began.
/// </summary>
public static class RecipeOfRun
{
    private const string OutputKey = "output", Up = "..";

    /// <summary>The recipe as the run's folder keeps it.</summary>
    internal static string Write(RunRecipe recipe, string folder) => RecipeWriter.Write(recipe, recipe.Kinds, path =>
        Path.IsPathRooted(path) || !Path.Exists(path) ? path : Path.GetRelativePath(Path.GetFullPath(folder), Path.GetFullPath(path)).Replace('\\', '/'));

    /// <summary>Reads a run's recipe, with paths found from where the folder is now; its output is the folder.</summary>
    /// <param name="file">The recipe in the run's folder.</param>
    /// <param name="changes">Changes of the form <c>path=value</c>; an output among them counts.</param>
    /// <param name="kinds">The kinds of parts that it can name; null for the built-in ones.</param>
    /// <exception cref="InputException">The file can't be read, or says something that the record hasn't; names file (or override), line and key.</exception>
    public static RunRecipe Read(string file, IReadOnlyList<RecipeChange> changes, PartKinds? kinds = null)
    {
        var folder = Path.GetDirectoryName(file) is { Length: > 0 } named ? named : ".";
        var began = RecipeFile.LoadWith<RunRecipe>(file, [], path => path, kinds).Output;
        var recipe = RecipeFile.LoadWith<RunRecipe>(file, changes, path => Find(path, folder, began), kinds);
        return changes.Any(change => change.Key == OutputKey) ? recipe : recipe with { Output = folder };
    }

    /// <summary>Makes sure that a run goes on by the recipe that it was begun with; where it lies, how its paths are spelt, and keys that <see cref="MayChangeOnResumeAttribute"/> marks may differ.</summary>
    /// <param name="file">The recipe in the run's folder.</param>
    /// <param name="recipe">The recipe that it would go on with, resolved.</param>
    /// <param name="command">The command that goes on with such a run, for the message.</param>
    /// <exception cref="InputException">It differs; names the line.</exception>
    public static void RequireSame(string file, RunRecipe recipe, string command)
    {
        var then = Compared(Read(file, [], recipe.Kinds).Resolved());
        var now = Compared(recipe);
        for (var line = 0; line < Math.Max(then.Length, now.Length); line++)
        {
            var (old, current) = (then.ElementAtOrDefault(line)?.Trim(), now.ElementAtOrDefault(line)?.Trim());
            if (old != current)
            {
                throw new InputException(
                    $"{file}:{line + 1}: the run was begun with '{old}' and would go on with '{current}'; resume with the recipe that it has ({command} {Path.GetDirectoryName(file)} --resume), or choose another output");
            }
        }
    }

    /// <summary>What a run that goes on has otherwise than before, of what may change; one line each.</summary>
    internal static IEnumerable<string> Changes(string file, RunRecipe recipe)
    {
        var (then, now) = (Compared(Read(file, [], recipe.Kinds).Resolved(), withAll: true), Compared(recipe, withAll: true));
        return Keyed(then).Zip(Keyed(now)).Where(lines => lines.First != lines.Second).Select(lines => $"the run goes on with '{lines.Second}' in place of '{lines.First}'");
    }

    /// <summary>Each line of a written recipe with the keys of the sections that it lies in before its own: <c>update.learning_rate: 0.001</c>.</summary>
    private static IEnumerable<string> Keyed(IEnumerable<string> lines)
    {
        var sections = new Stack<(int Indent, string Key)>();
        foreach (var line in lines)
        {
            var text = line.TrimStart(' ');
            var indent = line.Length - text.Length;
            while (sections.TryPeek(out var section) && section.Indent >= indent) sections.Pop();
            yield return string.Concat(sections.Reverse().Select(section => section.Key + ".")) + text;
            if (text.EndsWith(':')) sections.Push((indent, text[..^1]));
        }
    }

    private static string[] Compared(RunRecipe recipe, bool withAll = false) =>
        RecipeWriter.Write(recipe with { Output = "" }, recipe.Kinds, path => Path.Exists(path) ? Path.GetFullPath(path) : path, member => !withAll && member.MayChange).Split('\n');

    /// <summary>Where a path of a run's recipe leads now.</summary>
    /// <param name="path">As the recipe has it.</param>
    /// <param name="folder">Where the run's folder is now.</param>
    /// <param name="began">Where it was when the run began, as the recipe has it.</param>
    private static string Find(string path, string folder, string? began)
    {
        if (Path.IsPathRooted(path))
        {
            // What moved together with the run lies where it lay, seen from there.
            if (Path.Exists(path) || !Path.IsPathRooted(began)) return path;
            var moved = Path.GetFullPath(Path.Combine(folder, Path.GetRelativePath(began, path)));
            return Path.Exists(moved) ? moved : path;
        }

        // From the run's folder; from where that was, if it alone has moved; and from the current folder, as paths of recipes are.
        foreach (var start in (string?[])[folder, began])
        {
            if (start is not null && Path.GetFullPath(Path.Combine(start, path)) is var found && Path.Exists(found)) return Shown(found);
        }

        return Path.Exists(path) || !path.StartsWith(Up, StringComparison.Ordinal) ? path : Shown(Path.GetFullPath(Path.Combine(folder, path)));
    }

    /// <summary>A full path, shorter where it lies below the current folder.</summary>
    private static string Shown(string path) => Path.GetRelativePath(Directory.GetCurrentDirectory(), path) is var relative && relative.StartsWith(Up, StringComparison.Ordinal) ? path : relative;
}
