using System.Text.RegularExpressions;
using Rlgf.Base;
using Rlgf.Rewards;

namespace Rlgf.Recipes;

/// <summary>A kind of a section: its name, and the record that holds its settings.</summary>
internal sealed record SectionKind(string Name, Type Type);

/// <summary>The kinds that a section can be of.</summary>
/// <param name="section">The base record of their settings.</param>
/// <param name="what">What they are kinds of, in the plural.</param>
/// <param name="key">The key whose value names the kind.</param>
/// <param name="isOpen">Whether programs may add kinds of their own.</param>
internal sealed partial class KindList(Type section, string what, string key, bool isOpen)
{
    private readonly List<SectionKind> _kinds = [];

    public Type Section => section;

    public string What => what;

    public string Key => key;

    public bool IsOpen => isOpen;

    public IReadOnlyList<SectionKind> Kinds => _kinds;

    /// <summary>What was wrong with the first kind that could not be added; null if nothing was. It is said where the kinds are used, since adding is no place to fail.</summary>
    public string? Problem { get; private set; }

    /// <summary>Adds a kind.</summary>
    /// <returns>Whether it could be added.</returns>
    public bool Add(string name, Type settings)
    {
        var problem = ProblemOf(name, settings);
        Problem ??= problem;
        if (problem is null) _kinds.Add(new SectionKind(name, settings));
        return problem is null;
    }

    /// <summary>The kind that a section's record belongs to.</summary>
    /// <exception cref="InputException">None.</exception>
    public string NameOf(object record) => _kinds.FirstOrDefault(kind => kind.Type == record.GetType())?.Name
        ?? throw new InputException($"{record.GetType().Name} holds the settings of no kind of {what} that this program has; add one for it");

    private string? ProblemOf(string name, Type settings)
    {
        if (!Name().IsMatch(name)) return $"the kind '{name}' of {what}: a name begins with a small letter and has small letters, digits and _";
        if (_kinds.FirstOrDefault(kind => kind.Name == name) is { } twice)
            return $"the kind '{name}' of {what} is added twice, with {twice.Type.Name} and with {settings.Name}: give one of them another name";
        var members = RecipeSchema.ProblemOf(settings, new HashSet<Type>());
        if (members is not null) return $"the kind '{name}' of {what}: {members}";
        // Where the key is one of the record's own, the record knows its kind.
        if (RecipeSchema.MembersOf(settings).Any(member => member.Key == key)) return settings.IsAssignableTo(section) && section.GetProperties().Any(own => RecipeSchema.KeyOf(own.Name) == key) ? null
            : $"the kind '{name}' of {what}: {settings.Name} has a key '{key}', which names the kind: call it otherwise";
        return _kinds.FirstOrDefault(kind => kind.Type == settings) is { } other
            ? $"the kinds '{other.Name}' and '{name}' of {what} have one record of settings, {settings.Name}: give each a record of its own"
            : null;
    }

    [GeneratedRegex("^[a-z][a-z0-9_]*$")]
    private static partial Regex Name();
}

/// <summary>Kinds of one sort of part: each is a name in recipes, a record of settings, and a function that makes the part of them.</summary>
/// <typeparam name="TSection">The base record of the settings.</typeparam>
/// <typeparam name="TServices">What the function is given besides the settings.</typeparam>
/// <typeparam name="TPart">What it makes.</typeparam>
public sealed class KindTable<TSection, TServices, TPart>
    where TSection : class
    where TPart : class
{
    private readonly KindList _list;
    private readonly Dictionary<string, Func<TSection, TServices, TPart?>> _make = [];

    internal KindTable(KindList list) => _list = list;

    /// <summary>The kinds' names, the built-in ones first.</summary>
    public IReadOnlyList<string> Names => [.. _list.Kinds.Select(kind => kind.Name)];

    /// <summary>
    /// Adds a kind. Recipes are held to the record as to the built-in ones: its public properties that can be set are the keys, in snake_case; <c>required</c> ones must be there, <see cref="LimitsAttribute"/>,
    /// <see cref="RecipePathAttribute"/> and <see cref="ICheckedSection"/> count. A property is a text, a number, a truth value, an enum, a record of these or an <see cref="IReadOnlyList{T}"/>.
    /// </summary>
    /// <typeparam name="TSettings">The record; no two kinds have the same.</typeparam>
    /// <param name="kind">Its name in recipes: small letters, digits and _. One that is there already, or a record that no recipe can hold, is said when the program runs.</param>
    /// <param name="make">Makes the part; an exception in it ends the command with one line.</param>
    public void Add<TSettings>(string kind, Func<TSettings, TServices, TPart> make)
        where TSettings : TSection
    {
        ArgumentNullException.ThrowIfNull(kind);
        ArgumentNullException.ThrowIfNull(make);
        if (_list.Add(kind, typeof(TSettings))) _make.Add(kind, (section, services) => make((TSettings)section, services));
    }

    /// <summary>Makes the part that a section describes.</summary>
    /// <exception cref="InputException">The section is of no kind here, or its function failed.</exception>
    internal TPart Make(TSection section, TServices services)
    {
        var kind = _list.NameOf(section);
        var who = $"the program's code for the kind '{kind}' of {_list.What}";
        return OwnCode.Run(who, "its settings", () => _make[kind](section, services), CancellationToken.None) ?? throw new InputException($"{who} made nothing (null)");
    }
}
