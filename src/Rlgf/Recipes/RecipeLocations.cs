using Rlgf.Base;

namespace Rlgf.Recipes;

/// <summary>Where the keys of a recipe were written, so that what is found out only when a model or a data set is read can still be said with file, line and key.</summary>
internal sealed class RecipeLocations
{
    /// <summary>Of a recipe that was made by code.</summary>
    public static readonly RecipeLocations None = new();

    private readonly Dictionary<string, RecipeNode> _values = [];

    private RecipeLocations()
    {
    }

    /// <summary>Those of a document.</summary>
    public RecipeLocations(RecipeNode root) => Add("", root);

    /// <summary>Two recipes are equal if they say the same, wherever they say it.</summary>
    public override bool Equals(object? obj) => obj is RecipeLocations;

    /// <inheritdoc/>
    public override int GetHashCode() => 0;

    /// <summary>A problem as a message that begins with the place and the key it is about.</summary>
    /// <param name="key">The key; where it was left out, the section that it belongs to is named.</param>
    /// <param name="problem">What is wrong. Of the keys below <paramref name="key"/> the one is named whose value the problem names.</param>
    /// <returns>The problem as it is where the recipe was made by code.</returns>
    public string Say(string key, string problem)
    {
        if (_values.Count == 0) return problem;
        var named = _values.Where(value => IsBelow(value.Key, key) && value.Value is RecipeScalar { Text.Length: > 1 } scalar && WrittenNumber.Parse(scalar.Text, typeof(double)) is null)
            .Select(value => (value.Key, Place: PlaceOf(((RecipeScalar)value.Value).Text, problem)))
            .Where(value => value.Place is not null).OrderBy(value => value.Place).Select(value => value.Key).FirstOrDefault() ?? key;
        var written = named;
        while (written.Length > 0 && !_values.ContainsKey(written)) written = written[..Math.Max(0, written.LastIndexOf('.'))];
        return $"{_values[written].Location}: {named}: {problem}";
    }

    /// <summary>Does what a key asks for; what goes wrong is said with the key's place.</summary>
    /// <exception cref="InputException">What <paramref name="act"/> throws, with the place.</exception>
    public T Of<T>(string key, Func<T> act)
    {
        try
        {
            return act();
        }
        catch (InputException problem) when (_values.Count > 0 && !IsLocated(problem.Message))
        {
            throw new InputException(Say(key, problem.Message), problem);
        }
    }

    /// <summary>Whether a message begins with a place in the recipe already: a part that knows its key has said it.</summary>
    private bool IsLocated(string message) => _values.Values.Any(value => message.StartsWith(value.Location + ": ", StringComparison.Ordinal));

    private static bool IsBelow(string key, string section) => key == section || key.StartsWith(section + ".", StringComparison.Ordinal);

    /// <summary>
    /// Where a message names a value, in an order in which the least is most likely what it is about: what is in quotes comes before a path, which may only say where something is, and what is named
    /// first before what might be meant instead. Null where it is not named.
    /// </summary>
    private static (int Kind, int At)? PlaceOf(string value, string message)
    {
        if (message.IndexOf($"'{value}'", StringComparison.Ordinal) is var quoted and >= 0) return (0, quoted);
        var at = message.IndexOf(value, StringComparison.Ordinal);
        if (at < 0) return null;
        // A word alone may be any word; at the beginning, or as the end of a path, it is a file's name.
        var isPath = value.Contains('/', StringComparison.Ordinal) || value.Contains('\\', StringComparison.Ordinal);
        var isName = (at == 0 || message[at - 1] is '/' or '\\') && at + value.Length < message.Length && message[at + value.Length] is ':' or '/' or '\\';
        return isPath || isName ? (1, at) : null;
    }

    private void Add(string key, RecipeNode node)
    {
        _values[key] = node;
        switch (node)
        {
            case RecipeSection section:
                foreach (var entry in section.Entries) Add(key.Length == 0 ? entry.Key : $"{key}.{entry.Key}", entry.Value with { Location = entry.Location });
                break;
            case RecipeList list:
                for (var i = 0; i < list.Items.Count; i++) Add(FormattableString.Invariant($"{key}.{i}"), list.Items[i]);
                break;
        }
    }
}
