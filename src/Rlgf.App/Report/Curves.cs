using Rlgf.Evaluation;
using Rlgf.Runs;
using Rlgf.Statistics;

namespace Rlgf.App.Report;

/// <summary>A set of charts under one heading.</summary>
/// <param name="Key">Short name for files.</param>
/// <param name="Title">Its heading.</param>
/// <param name="Explanation">What is measured.</param>
/// <param name="Charts">The charts.</param>
internal sealed record ChartSet(string Key, string Title, string Explanation, IReadOnlyList<LineChart> Charts);

/// <summary>
/// The curves of groups of runs. Over several seeds a curve is their mean. Where a value is a mean over the held-out prompts, its band is the 95 % interval over prompts and seeds (<see cref="CrossedMean"/>);
/// elsewhere it is one standard deviation of the seeds to either side.
/// </summary>
internal static class Curves
{
    /// <summary>A curve has at most so many points; longer runs are averaged in stretches, so that a report stays small.</summary>
    public const int MostPoints = 150;

    private static readonly ValueRange Share = new(0, 1);
    private static readonly ValueRange Positive = new(0, double.PositiveInfinity);

    /// <summary>Key of the set on held-out prompts.</summary>
    public const string HeldOut = "held-out";

    private const string RewardPart = "reward/part/";

    /// <summary>All charts that have data.</summary>
    public static IReadOnlyList<ChartSet> Of(IReadOnlyList<RunGroup> groups)
    {
        var table = ResultsTable.Of(groups);
        IReadOnlyList<ChartLevel> rewards = [.. table.Guides.Select(guide => new ChartLevel(guide.Name, guide.Reward.Mean))];
        IReadOnlyList<ChartLevel> judges = [.. table.Guides.Select(guide => new ChartLevel(guide.Name, guide.Judge.Mean)).Where(level => double.IsFinite(level.Y))];
        // A score that was never outside of 0 to 1 is taken for a share: a classifier's probability, or whether something was met.
        var rows = groups.SelectMany(group => group.Runs).SelectMany(run => run.Evaluations).SelectMany(evaluation => evaluation.Rows).ToArray();
        var (reward, judge) = (RangeOf(rows.Select(row => row.Reward)), RangeOf(rows.Select(row => row.Judge)));
        ChartSet[] sets =
        [
            new(HeldOut, "On held-out prompts", "The same prompts and random numbers at each evaluation.",
            [
                Evaluated("Reward", "iteration", groups, Iteration, "reward/mean", rewards, reward),
                Evaluated("Judge's score", "iteration", groups, Iteration, "judge/mean", judges, judge),
                Evaluated("KL to the start, nats a response", "iteration", groups, Iteration, "kl/start"),
                Evaluated("Reward against KL", "KL to the start, nats a response", groups, Kl, "reward/mean", rewards, reward),
                Evaluated("Judge's score against KL", "KL to the start, nats a response", groups, Kl, "judge/mean", judges, judge),
                Evaluated("Reward against tokens generated", "tokens written by policy and guide", groups, Tokens, "reward/mean", rewards, reward),
                Evaluated("Perplexity under the start", "iteration", groups, Iteration, "perplexity/start", range: Positive),
                Evaluated("distinct-2", "iteration", groups, Iteration, "distinct/2", range: Share),
                Evaluated("Length of a response, tokens", "iteration", groups, Iteration, "response/length", range: Positive),
            ]),
            new("training", "In training", "Measured on each iteration's own rows, whoever wrote them.",
            [
                Trained("Reward", groups, Metric("reward/mean"), reward),
                .. Parts(groups).Select(part => Trained($"Reward: {part[RewardPart.Length..]}", groups, Metric(part))),
                Trained("KL to the start, nats a response", groups, Metric("kl/start")),
                Trained("Policy loss", groups, Metric("loss/policy")),
                Trained("Value loss", groups, Metric("loss/value"), Positive),
                Trained("Loss on the guide's tokens", groups, Metric("loss/guide")),
                Trained("Supervised loss", groups, Metric("loss/supervised"), Positive),
                Trained("Groups of equal rewards", groups, Metric("groups/equal"), Share),
                Trained("Explained variance of the critic", groups, Metric("critic/explained_variance")),
                Trained("Advantage, mean", groups, Metric("advantage/mean")),
                Trained("Advantage, standard deviation", groups, Metric("advantage/deviation"), Positive),
                Trained("Clipped share", groups, Metric("policy/clip_fraction"), Share),
                Trained("Gap to the guide, standard deviations", groups, Metric("gap/smoothed")),
                Trained("What the guide makes of the same beginnings, less the policy's", groups, Metric("worth/gap")),
                Trained("Distance of the guide's tokens, nats", groups, Metric("worth/distance")),
                Trained("Roll-in probability β", groups, record => record.Plan.NeedsGuide ? record.Plan.RollInProbability : double.NaN, Share),
                Trained("Rows that the guide left to the policy", groups, Metric("guide/unanswered"), Positive),
                Trained("Tokens written by the policy, in all", groups, Metric("tokens/policy"), Positive),
                Trained("Tokens written by the guide, in all", groups, record => record.Metrics.GetValueOrDefault("tokens/guide") is > 0 and var tokens ? tokens : double.NaN, Positive),
                Trained("Seconds an iteration", groups, Metric("seconds/total"), Positive),
                Trained("Of them in communication with other processes", groups, Metric("communication/seconds"), Positive),
                Trained("Megabytes sent to other processes by the first", groups, record => Metric(record.Metrics, "communication/bytes") / 1e6, Positive),
            ]),
        ];
        return WithData(sets);
    }

    private static IReadOnlyList<ChartSet> WithData(IEnumerable<ChartSet> sets) => [.. sets.Select(set => set with { Charts = [.. set.Charts.Where(chart => chart.HasData)] }).Where(set => set.Charts.Count > 0)];

    /// <summary>The table's means with their intervals: reward, and the judge's score where there is one.</summary>
    public static IReadOnlyList<IntervalChart> Intervals(ResultsTable table)
    {
        IntervalChart[] charts =
        [
            new("Reward on held-out prompts", [.. table.Rows.Select(row => new IntervalLine(row.Name, row.Reward, row.Group))]),
            new("Judge's score on held-out prompts", [.. table.Rows.Select(row => new IntervalLine(row.Name, row.Judge, row.Group))]),
        ];
        return [.. charts.Where(chart => chart.Lines.Any(line => double.IsFinite(line.Value.Mean)))];
    }

    /// <summary>Names of the reward's parts; none for a reward that is one thing.</summary>
    private static string[] Parts(IReadOnlyList<RunGroup> groups)
    {
        string[] parts = [.. groups.SelectMany(group => group.Runs).SelectMany(run => run.Iterations.Take(1)).SelectMany(record => record.Metrics.Keys)
            .Where(name => name.StartsWith(RewardPart, StringComparison.Ordinal)).Distinct()];
        return parts.Length > 1 ? parts : [];
    }

    private static double Iteration(ReportRun run, EvaluationRecord evaluation) => evaluation.Iteration;

    private static double Kl(ReportRun run, EvaluationRecord evaluation) => Metric(evaluation.Metrics, "kl/start");

    /// <summary>Tokens that anyone had generated when the evaluation was made.</summary>
    private static double Tokens(ReportRun run, EvaluationRecord evaluation)
    {
        if (evaluation.Iteration == 0) return 0;
        var record = run.Iterations.LastOrDefault(i => i.Iteration < evaluation.Iteration);
        return record is null ? double.NaN : Metric(record.Metrics, "tokens/policy") + Metric(record.Metrics, "tokens/guide");
    }

    private static Func<IterationRecord, double> Metric(string name) => record => Metric(record.Metrics, name);

    private static double Metric(IReadOnlyDictionary<string, double> metrics, string name) => metrics.TryGetValue(name, out var value) ? value : double.NaN;

    private static LineChart Evaluated(
        string title, string xLabel, IReadOnlyList<RunGroup> groups, Func<ReportRun, EvaluationRecord, double> x, string metric, IReadOnlyList<ChartLevel>? levels = null, ValueRange? range = null) =>
        new(title, xLabel, [.. groups.Select((group, colour) => new ChartSeries(group.Label, colour, [.. group.Runs
            .SelectMany(run => run.Evaluations.Select(e => (e.Iteration, X: x(run, e), Y: Metric(e.Metrics, metric), Rows: Evaluator.Values(metric, e.Rows))))
            .GroupBy(point => point.Iteration).OrderBy(point => point.Key)
            .Select(seeds => seeds.All(s => s.Rows is not null) && seeds.Select(s => s.Rows!.Length).Distinct().Count() == 1
                ? Point(seeds.Average(s => s.X), seeds.Average(s => s.Y), CrossedMean.Of([.. seeds.Select(s => s.Rows!)]), range)
                : Point(seeds.Average(s => s.X), [.. seeds.Select(s => s.Y)], range))]))], levels ?? [])
        {
            CountsX = xLabel == "iteration",
        };

    private static LineChart Trained(string title, IReadOnlyList<RunGroup> groups, Func<IterationRecord, double> y, ValueRange? range = null) =>
        new(title, "iteration", [.. groups.Select((group, colour) =>
        {
            var iterations = group.Runs.Max(run => run.Iterations.Count > 0 ? run.Iterations[^1].Iteration + 1 : 0);
            var stretch = Math.Max(1, (iterations + MostPoints - 1) / MostPoints);
            return new ChartSeries(group.Label, colour, [.. group.Runs
                .SelectMany(run => run.Iterations.GroupBy(i => i.Iteration / stretch).Select(few => (few.Key, X: few.Average(i => i.Iteration + 1), Y: MeanOfKnown(few.Select(y)))))
                .GroupBy(point => point.Key).OrderBy(point => point.Key)
                .Select(seeds => Point(seeds.Average(s => s.X), [.. seeds.Select(s => s.Y)], range))]);
        })], [])
        {
            CountsX = true,
        };

    private static double MeanOfKnown(IEnumerable<double> values) => values.Where(double.IsFinite).DefaultIfEmpty(double.NaN).Average();

    private static ValueRange? RangeOf(IEnumerable<double> scores) => scores.Where(double.IsFinite).All(score => score is >= 0 and <= 1) ? Share : null;

    /// <summary>The mean, with a band that doesn't go where no value can be.</summary>
    private static ChartPoint Point(double x, double[] seeds, ValueRange? range)
    {
        var (mean, deviation) = (seeds.Average(), Spread.Deviation(seeds));
        return new ChartPoint(x, mean, Math.Max(mean - deviation, range?.Low ?? double.NegativeInfinity), Math.Min(mean + deviation, range?.High ?? double.PositiveInfinity));
    }

    /// <summary>A mean, with its interval as the band.</summary>
    private static ChartPoint Point(double x, double mean, Interval interval, ValueRange? range) =>
        new(x, mean, Math.Max(interval.Low, range?.Low ?? double.NegativeInfinity), Math.Min(interval.High, range?.High ?? double.PositiveInfinity));

    /// <summary>What a quantity can be.</summary>
    private sealed record ValueRange(double Low, double High);
}
