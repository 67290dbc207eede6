using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Rewards;

namespace Rlgf.Recipes;

/// <summary>Algorithms by the names that recipes have for them. An algorithm is data, so that a kind is its settings, or a function that makes them of the recipe's section.</summary>
public sealed class AlgorithmKinds
{
    private readonly KindList _list;
    private readonly Dictionary<string, (string Meaning, Func<AlgorithmSection, AlgorithmSettings> Make)> _made = [];

    internal AlgorithmKinds(KindList list) => _list = list;

    /// <summary>The algorithms' names, the built-in ones first.</summary>
    public IReadOnlyList<string> Names => [.. _list.Kinds.Select(kind => kind.Name)];

    /// <summary>Adds an algorithm without keys of its own; recipes change it by those that all have.</summary>
    /// <param name="name">Its name in recipes, logs and reports: small letters, digits and _.</param>
    /// <param name="meaning">What it does, in a sentence.</param>
    /// <param name="settings">What it is before a recipe changes something.</param>
    public void Add(string name, string meaning, AlgorithmSettings settings) => Add<AlgorithmSection>(name, meaning, _ => settings);

    /// <summary>Adds an algorithm.</summary>
    /// <typeparam name="TSettings">The record of its keys: <see cref="AlgorithmSection"/>, or one derived from it that has more.</typeparam>
    /// <param name="name">Its name in recipes, logs and reports: small letters, digits and _.</param>
    /// <param name="meaning">What it does, in a sentence.</param>
    /// <param name="make">What it is by its own keys; those that all algorithms have are filled in afterwards.</param>
    public void Add<TSettings>(string name, string meaning, Func<TSettings, AlgorithmSettings> make)
        where TSettings : AlgorithmSection
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(make);
        if (_list.Add(name, typeof(TSettings))) _made.Add(name, (meaning, section => make((TSettings)section)));
    }

    /// <summary>What an algorithm does, in a sentence.</summary>
    internal string MeaningOf(string name) => _made[name].Meaning;

    /// <summary>The algorithm of a section before what all algorithms have is filled in.</summary>
    /// <exception cref="InputException">There is none of that name, or its function failed.</exception>
    internal AlgorithmSettings Make(AlgorithmSection section)
    {
        if (!_made.TryGetValue(section.Name, out var algorithm)) throw new InputException($"there is no algorithm '{section.Name}'; there is {string.Join(", ", Names)}");
        return OwnCode.Run($"the program's code for the algorithm '{section.Name}'", "its settings", () => algorithm.Make(section), CancellationToken.None) with { Name = section.Name };
    }
}
