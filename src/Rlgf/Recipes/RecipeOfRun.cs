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
    /// <exception cref="InputException">It differs; names each key with its line and both values.</exception>
    public static void RequireSame(string file, RunRecipe recipe, string command)
    {
        var differences = Differences(Compared(Read(file, [], recipe.Kinds).Resolved()), Compared(recipe), "").ToArray();
        if (differences.Length == 0) return;
        var written = RecipeNode.Parse(RegularFile.ReadText(file), line => FormattableString.Invariant($"{file}:{line}"));
        var lines = differences.Select(difference => $"{Place(written, difference.Key)}: the run was begun with '{difference.Key}: {difference.Then}' and would go on with '{difference.Key}: {difference.Now}'");
        throw new InputException($"{string.Join("; ", lines)}; resume with the recipe that it has ({command} {Path.GetDirectoryName(file)} --resume), or choose another output");
    }

    /// <summary>What a run that goes on has otherwise than before, of what may change; one line each.</summary>
    internal static IEnumerable<string> Changes(string file, RunRecipe recipe)
    {
        return Differences(Compared(Read(file, [], recipe.Kinds).Resolved(), withAll: true), Compared(recipe, withAll: true), "")
            .Select(difference => $"the run goes on with '{difference.Key}: {difference.Now}' in place of '{difference.Key}: {difference.Then}'");
    }

    /// <summary>Keys of which two recipes say something else, each with both values; a section or a list that only one of them has is one value.</summary>
    private static IEnumerable<(string Key, string Then, string Now)> Differences(RecipeNode? then, RecipeNode? now, string key) => (then, now) switch
    {
        (RecipeSection one, RecipeSection other) => one.Entries.Concat(other.Entries).Select(entry => entry.Key).Distinct().SelectMany(name => Differences(one[name], other[name], Below(key, name))),
        (RecipeList one, RecipeList other) when one.Items.Count == other.Items.Count => one.Items.Zip(other.Items).SelectMany((items, at) => Differences(items.First, items.Second, Below(key, Numbered(at)))),
        _ => Written(then) is var old && Written(now) is var current && old == current ? [] : [(key, old, current)],
    };

    private static string Written(RecipeNode? node) => node switch
    {
        RecipeSection section => $"{{{string.Join(", ", section.Entries.Select(entry => $"{entry.Key}: {Written(entry.Value)}"))}}}",
        RecipeList list => $"[{string.Join(", ", list.Items.Select(Written))}]",
        RecipeScalar { IsNull: false } scalar => scalar.IsPlain ? scalar.Text : $"\"{scalar.Text.ReplaceLineEndings(" ")}\"",
        // A key that isn't there and one without a value say the same.
        _ => "null",
    };

    /// <summary>Where a file has a key, or the nearest section around it.</summary>
    private static string Place(RecipeNode node, string key)
    {
        var place = node.Location;
        foreach (var name in key.Split('.'))
        {
            if (node is RecipeSection section && section.Entries.FirstOrDefault(entry => entry.Key == name) is { } entry) (place, node) = (entry.Location, entry.Value);
            else if (node is RecipeList list && int.TryParse(name, out var at) && at < list.Items.Count) (place, node) = (list.Items[at].Location, list.Items[at]);
            else break;
        }

        return place;
    }

    private static string Below(string section, string key) => section.Length == 0 ? key : $"{section}.{key}";

    private static string Numbered(int at) => at.ToString(System.Globalization.CultureInfo.InvariantCulture);

    private static RecipeNode Compared(RunRecipe recipe, bool withAll = false) => RecipeNode.Parse(
        RecipeWriter.Write(recipe with { Output = "" }, recipe.Kinds, path => Path.Exists(path) ? Path.GetFullPath(path) : path, member => !withAll && member.MayChange), line => "");

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
