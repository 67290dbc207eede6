using Rlgf.Base;
using Rlgf.Statistics;

namespace Rlgf.App.Report;

/// <summary>What groups of runs end with against a number in their recipes: a line for all that agree in everything else, its band the 95 % interval over prompts and seeds.</summary>
internal static class KeyCurves
{
    /// <summary>What lines and bands are.</summary>
    public const string Explanation =
        "What runs end with on the held-out prompts, against a number in their recipes. A point is the mean over seeds and prompts. Its band is the 95 % interval for both at once: what other seeds and " +
        "other prompts could have given; with few seeds that differ it is wide.";

    /// <summary>A chart of the reward and of the judge's score for each key of which some of the groups have different numbers.</summary>
    /// <param name="groups">The groups.</param>
    /// <param name="keys">Keys of their recipes, by path, such as <c>algorithm.switch_iteration</c>.</param>
    public static IReadOnlyList<LineChart> Of(IReadOnlyList<RunGroup> groups, IReadOnlyList<string> keys)
    {
        var table = ResultsTable.Of(groups);
        var rows = table.Algorithms.ToDictionary(row => row.Group);
        return [.. keys.SelectMany(key => Of(key, [.. groups.Select((group, i) => (group, Row: rows.GetValueOrDefault(i))).Where(one => one.Row is not null).Select(one => (one.group, one.Row!))], table))
            .Where(chart => chart.HasData)];
    }

    private static IEnumerable<LineChart> Of(string key, IReadOnlyList<(RunGroup Group, ResultsRow Row)> evaluated, ResultsTable table)
    {
        var numbered = evaluated.Where(one => one.Group.Runs[0].Settings.ContainsKey(key))
            .Select(one => (one.Group, one.Row, X: WrittenNumber.Parse(one.Group.Runs[0].Settings[key], typeof(double)) as double?)).ToArray();
        if (numbered.Any(one => one.X is null) || numbered.DistinctBy(one => one.X).Count() < 2) return [];
        // A guide's name says what its keys are: with another number it is another name, but no other line.
        var isOfGuide = key.StartsWith("guide.", StringComparison.Ordinal);
        ReportRun Stripped(ReportRun run) => run with { Settings = Others(run, key), Description = isOfGuide ? run.Description with { Guide = null } : run.Description };
        string Identity(ReportRun run) => string.Join('\n', run.Settings.Select(setting => $"{setting.Key}={setting.Value}").Prepend($"{run.Description.Algorithm} {run.Description.Guide}"));
        var lines = numbered.GroupBy(one => Identity(Stripped(one.Group.Runs[0]))).ToArray();
        // What tells the lines apart is what tells groups of runs apart that have the key no more.
        var stripped = lines.Select(line => Stripped(line.First().Group.Runs[0])).ToArray();
        var named = RunGroup.Of(stripped);
        string[] labels = [.. stripped.Select(run => named.First(group => group.Runs.Any(other => ReferenceEquals(other, run))).Label)];
        double[] xs = [.. numbered.Select(one => one.X!.Value)];

        // The guide itself, at each number of its own key.
        (double X, ResultsRow Row)[] guides = isOfGuide ? [.. numbered.Where(one => one.Row.Guide is not null).Select(one => (one.X!.Value, one.Row.Guide!)).DistinctBy(one => one.Item1).OrderBy(one => one.Item1)] : [];

        LineChart Chart(string title, Func<ResultsRow, IReadOnlyList<IReadOnlyList<double>>> values, Func<ResultsRow, Interval> mean)
        {
            var isShare = numbered.Select(one => one.Row).Concat(guides.Select(one => one.Row)).SelectMany(values).SelectMany(seed => seed).Where(double.IsFinite).All(score => score is >= 0 and <= 1);
            ChartPoint Point(double x, Interval of) => new(x, of.Mean, isShare ? Math.Max(0, of.Low) : of.Low, isShare ? Math.Min(1, of.High) : of.High);
            return new LineChart(
                $"{title} against {key}", key,
                [
                    .. lines.Select((line, colour) => new ChartSeries(labels[colour], colour, [.. line.OrderBy(one => one.X).Select(one => Point(one.X!.Value, CrossedMean.Of(values(one.Row))))])),
                    .. guides.Length == 0 ? (ChartSeries[])[] : [new ChartSeries("guide", lines.Length, [.. guides.Select(one => Point(one.X, CrossedMean.Of(values(one.Row))))])],
                ],
                [.. (isOfGuide ? [] : table.Guides).Select(guide => new ChartLevel(guide.Name, mean(guide).Mean)).Where(level => double.IsFinite(level.Y))])
            {
                PowersX = Axis.NeedsPowers(xs),
                CountsX = xs.All(double.IsInteger),
            };
        }

        return [Chart("Reward", row => row.RewardsOfSeeds, row => row.Reward), Chart("Judge's score", row => row.JudgeScoresOfSeeds, row => row.Judge)];
    }

    private static Dictionary<string, string> Others(ReportRun run, string key) => run.Settings.Where(setting => setting.Key != key).ToDictionary(setting => setting.Key, setting => setting.Value);
}
