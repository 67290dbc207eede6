using Rlgf.Algorithms;
using Rlgf.Base;

namespace Rlgf.App.Report;

/// <summary>Runs that differ in nothing but their seed: one row of the table, one curve.</summary>
/// <param name="Label">Name to show: the algorithm's, and as much more as tells the groups apart.</param>
/// <param name="Runs">One for each seed, in order of the seeds.</param>
internal sealed record RunGroup(string Label, IReadOnlyList<ReportRun> Runs)
{
    /// <summary>The algorithm's name in recipes.</summary>
    public string Algorithm => Runs[0].Description.Algorithm;

    /// <summary>The guide's name; null without one.</summary>
    public string? Guide => Runs[0].Description.Guide;

    /// <summary>The most settings that a label names.</summary>
    private const int MostSettings = 3;

    /// <summary>Groups runs by recipe, algorithm, guide and all settings but the seed, in the order in which the algorithms are always shown.</summary>
    /// <exception cref="InputException">Two runs of a group have the same seed.</exception>
    public static IReadOnlyList<RunGroup> Of(IReadOnlyList<ReportRun> runs)
    {
        var groups = runs.GroupBy(run => (run.Description.Recipe, run.Description.Algorithm, run.Description.Guide, Settings: string.Join('\n', run.Settings.Select(setting => $"{setting.Key}={setting.Value}"))))
            .OrderBy(group => Order(group.Key.Algorithm)).ThenBy(group => group.Key.Algorithm, StringComparer.Ordinal).Select(group => group.OrderBy(run => run.Description.Seed).ToArray()).ToArray();
        var labels = new List<string>();
        return [.. groups.Select(group =>
        {
            var described = group[0].Description;
            var sameAlgorithm = groups.Select(other => other[0]).Where(other => other.Description.Algorithm == described.Algorithm).ToArray();
            var label = DisplayName(described.Algorithm);
            if (sameAlgorithm.Select(other => other.Description.Guide).Distinct().Count() > 1) label += $", {described.Guide ?? "no guide"}";
            if (sameAlgorithm.Select(other => other.Description.Recipe).Distinct().Count() > 1) label += $" ({described.Recipe})";
            label += Differences(group[0], [.. sameAlgorithm.Where(other => other.Description.Guide == described.Guide && other.Description.Recipe == described.Recipe)]);
            // Beyond the settings that a label has room for.
            var count = labels.Count(other => other == label);
            labels.Add(label);
            if (count > 0) label += $" #{count + 1}";
            if (group.GroupBy(run => run.Description.Seed).FirstOrDefault(seed => seed.Count() > 1) is { } twice)
                throw new InputException($"two runs of {label} have seed {twice.Key}: give each run once, or set another seed for one of them");
            return new RunGroup(label, group);
        })];
    }

    /// <summary>The settings in which a run differs from others that are told apart by nothing else; a key by its last part, where no other ends so.</summary>
    private static string Differences(ReportRun run, ReportRun[] others)
    {
        var keys = others.SelectMany(other => other.Settings.Keys).Distinct().Where(key => others.Select(other => other.Settings.GetValueOrDefault(key)).Distinct().Count() > 1).ToArray();
        if (keys.Length == 0) return "";
        string Short(string key) => keys.Count(other => other.Split('.')[^1] == key.Split('.')[^1]) == 1 ? key.Split('.')[^1] : key;
        var named = keys.Take(MostSettings).Select(key => run.Settings.TryGetValue(key, out var value) ? $"{Short(key)} {value}" : $"no {Short(key)}");
        return $", {string.Join(", ", named)}{(keys.Length > MostSettings ? $" and {keys.Length - MostSettings} more" : "")}";
    }

    /// <summary>The name of an algorithm as papers write it; another name is shown as it is.</summary>
    public static string DisplayName(string algorithm) => Presets.All.FirstOrDefault(preset => preset.Name == algorithm)?.Title ?? algorithm;

    private static int Order(string algorithm)
    {
        var known = Presets.Names.ToList().IndexOf(algorithm);
        return known < 0 ? int.MaxValue : known;
    }
}
