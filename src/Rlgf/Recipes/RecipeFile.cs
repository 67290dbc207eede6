using System.Globalization;
using Rlgf.Base;

namespace Rlgf.Recipes;

/// <summary>Reads and writes recipes: YAML files that say all of a run.</summary>
public static class RecipeFile
{
    /// <summary>Reads a recipe.</summary>
    /// <typeparam name="T">The recipe's record, or a base record of which the recipe's <c>kind:</c> chooses one.</typeparam>
    /// <param name="path">The file.</param>
    /// <param name="changes">Changes to what the file says, in their order; none may set a section of which an earlier one has set a key.</param>
    /// <param name="kinds">The kinds of parts that it can name; null for the built-in ones.</param>
    /// <exception cref="InputException">The file can't be read or says something that the record hasn't; names file (or change), line and key.</exception>
    public static T Load<T>(string path, IEnumerable<RecipeChange>? changes = null, PartKinds? kinds = null)
        where T : class => LoadWith<T>(path, changes, FromHereOr(Path.GetDirectoryName(path)), kinds);

    /// <summary>As <see cref="Load{T}"/>, with another rule for where paths lead.</summary>
    internal static T LoadWith<T>(string path, IEnumerable<RecipeChange>? changes, Func<string, string> find, PartKinds? kinds)
        where T : class => Parse<T>(RecipeText.Read(path), path, changes, find, kinds);

    /// <summary>Reads a recipe from text.</summary>
    /// <typeparam name="T">The recipe's record, or a base record of which the recipe's <c>kind:</c> chooses one.</typeparam>
    /// <param name="text">YAML.</param>
    /// <param name="name">The file's path: for messages, and to find what lies beside it.</param>
    /// <param name="changes">Changes to what the text says.</param>
    /// <param name="kinds">The kinds of parts that it can name; null for the built-in ones.</param>
    /// <exception cref="InputException">As in <see cref="Load{T}"/>.</exception>
    public static T Parse<T>(string text, string name, IEnumerable<RecipeChange>? changes = null, PartKinds? kinds = null)
        where T : class => Parse<T>(text, name, changes, FromHereOr(Path.GetDirectoryName(name)), kinds);

    private static T Parse<T>(string text, string name, IEnumerable<RecipeChange>? changes, Func<string, string> find, PartKinds? kinds)
        where T : class
    {
        kinds ??= PartKinds.BuiltIn;
        kinds.ThrowIfWrong();
        var root = RecipeNode.Parse(text, line => $"{name}:{line}");
        RecipeChange[] all = [.. changes ?? []];
        RequireNoneUndone(all);
        foreach (var change in all)
        {
            root = Override(root, change);
        }

        if (root is RecipeScalar { IsNull: true }) throw new InputException($"{name}: the recipe is empty");
        var recipe = new RecipeBinder(find, kinds).Bind(root, typeof(T));
        return (T)(recipe is RunRecipe run ? run with { Locations = new RecipeLocations(root) } : recipe);
    }

    /// <summary>A recipe as YAML that reads back to the same values, with every default spelt out.</summary>
    /// <param name="recipe">The recipe, or a section.</param>
    /// <param name="kinds">The kinds among which its sections were chosen; null for those by which it was read, or the built-in ones.</param>
    public static string Write(object recipe, PartKinds? kinds = null) => RecipeWriter.Write(recipe, kinds ?? (recipe as RunRecipe)?.Kinds ?? PartKinds.BuiltIn);

    /// <summary>A relative path is looked for from the current folder, then from the recipe's.</summary>
    private static Func<string, string> FromHereOr(string? folder) => path =>
        folder is null || Path.IsPathRooted(path) || Path.Exists(path) || !Path.Exists(Path.Combine(folder, path)) ? path : Path.Combine(folder, path);

    /// <summary>A change of a section takes with it what was set below it before: nobody says that and means it.</summary>
    private static void RequireNoneUndone(RecipeChange[] changes)
    {
        for (var i = 0; i < changes.Length; i++)
            if (changes.Skip(i + 1).FirstOrDefault(later => changes[i].Key.StartsWith($"{later.Key}.", StringComparison.Ordinal)) is { } undoing)
                throw new InputException($"{changes[i].Place}: {undoing.Place}, which comes after it, sets all of '{undoing.Key}' anew; give it after that, or within its value");
    }

    private static RecipeNode Override(RecipeNode root, RecipeChange changed)
    {
        var (change, location) = changed;
        var equals = change.IndexOf('=', StringComparison.Ordinal);
        var keys = equals > 0 ? change[..equals].Trim().Split('.') : [];
        if (keys.Length == 0 || keys.Any(string.IsNullOrWhiteSpace))
        {
            throw new InputException($"{location}: expected PATH=VALUE, such as update.epochs=2");
        }

        if (keys.Length > RecipeNode.MostDepth)
        {
            throw new InputException($"{location}: {keys.Length} keys below each other; no recipe has more than {RecipeNode.MostDepth}");
        }

        return Replace(root, keys, RecipeNode.Parse(change[(equals + 1)..], _ => location), location);
    }

    /// <summary>The node with the value at a path replaced; sections on the way that aren't there are begun, for the binder to judge.</summary>
    private static RecipeNode Replace(RecipeNode node, ReadOnlySpan<string> keys, RecipeNode value, string location)
    {
        if (keys.Length == 0)
        {
            return value;
        }

        var key = keys[0];
        switch (node)
        {
            case RecipeScalar { IsNull: true }:
                return new RecipeSection(location, [new RecipeEntry(location, key, Replace(node, keys[1..], value, location))]);
            case RecipeSection section:
                var before = section.Entries.FirstOrDefault(entry => entry.Key == key);
                // A section stands where it stood: what it doesn't say isn't said by the change of another of its keys.
                var place = keys.Length > 1 && before is { Value: not RecipeScalar } ? before.Location : location;
                var changed = new RecipeEntry(place, key, Replace(before?.Value ?? new RecipeScalar(location, "", IsPlain: true), keys[1..], value, location));
                var at = section.Entries.ToList().FindIndex(entry => entry.Key == key);
                return section with { Entries = at < 0 ? [.. section.Entries, changed] : [.. section.Entries.Take(at), changed, .. section.Entries.Skip(at + 1)] };
            case RecipeList list:
                if (!int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var index) || index >= list.Items.Count)
                {
                    throw new InputException($"{location}: '{RecipeText.Shown(key)}' is no item of a list of {list.Items.Count}; items are numbered from 0");
                }

                var item = Replace(list.Items[index], keys[1..], value, location);
                return list with { Items = [.. list.Items.Take(index), item, .. list.Items.Skip(index + 1)] };
            default:
                throw new InputException($"{location}: there is nothing below the value {node.What}, so '{RecipeText.Shown(key)}' can't be set");
        }
    }
}
