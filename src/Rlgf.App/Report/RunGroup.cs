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

    /// <summary>Groups runs by recipe, algorithm and guide, in the order in which the algorithms are always shown.</summary>
    /// <exception cref="InputException">Two runs of a group have the same seed.</exception>
    public static IReadOnlyList<RunGroup> Of(IReadOnlyList<ReportRun> runs)
    {
        var groups = runs.GroupBy(run => (run.Description.Recipe, run.Description.Algorithm, run.Description.Guide))
            .OrderBy(group => Order(group.Key.Algorithm)).ThenBy(group => group.Key.Algorithm, StringComparer.Ordinal).ToArray();
        return [.. groups.Select(group =>
        {
            var sameAlgorithm = groups.Where(other => other.Key.Algorithm == group.Key.Algorithm).ToArray();
            var label = DisplayName(group.Key.Algorithm);
            if (sameAlgorithm.Select(other => other.Key.Guide).Distinct().Count() > 1) label += $", {group.Key.Guide ?? "no guide"}";
            if (sameAlgorithm.Select(other => other.Key.Recipe).Distinct().Count() > 1) label += $" ({group.Key.Recipe})";
            if (group.GroupBy(run => run.Description.Seed).FirstOrDefault(seed => seed.Count() > 1) is { } twice)
                throw new InputException($"two runs of {label} have seed {twice.Key}: give each run once, or set another seed for one of them");
            return new RunGroup(label, [.. group.OrderBy(run => run.Description.Seed)]);
        })];
    }

    /// <summary>The name of an algorithm as papers write it; another name is shown as it is.</summary>
    public static string DisplayName(string algorithm) => algorithm switch
    {
        "ppo" => "PPO",
        "ppo_plus_plus" => "PPO++",
        "aggrevated" => "AggreVaTeD",
        "lols" => "LOLS",
        "d2lols" => "D²LOLS",
        "adaptive" => "Adaptive",
        "grpo" => "GRPO",
        "rloo" => "RLOO",
        _ => algorithm,
    };

    private static int Order(string algorithm)
    {
        var known = Presets.Names.ToList().IndexOf(algorithm);
        return known < 0 ? int.MaxValue : known;
    }
}
