using System.Globalization;
using Rlgf.Runs;

namespace Rlgf.App.Report;

/// <summary>What the guide cost and what that bought, in tables: of each run, of each iteration, of each of several guides, and how far the guide is ahead.</summary>
internal static class GuideTables
{
    /// <summary>The most rows of a run's course; longer runs are summed in stretches.</summary>
    private const int MostRows = 40;

    /// <summary>The most rows of the gap's course.</summary>
    private const int MostGaps = 12;

    private const string Prefix = "guide/", Requests = "requests", Read = "prompt_tokens", Written = "completion_tokens", Cost = "cost", Cached = "cached", Faults = "faults", Left = "left", Rows = "rows", Tokens = "tokens", Gain = "gain";

    /// <summary>All tables that have data.</summary>
    public static IReadOnlyList<ReportTable> Of(IReadOnlyList<RunGroup> groups)
    {
        (string Name, int Colour, ReportRun Run)[] runs = [.. groups.SelectMany((group, colour) => group.Runs.Select(run => (NameOf(group, run), colour, run))).Where(one => one.run.Iterations.Count > 0)];
        return
        [
            .. Totals([.. runs.Where(one => Last(one.Run, "tokens/guide") > 0)]) is { } totals ? (ReportTable[])[totals] : [],
            .. runs.Where(one => HasCosts(one.Run)).Select(one => Course(one.Name, one.Run)),
            .. runs.Select(one => Each(one.Name, one.Run)).OfType<ReportTable>(),
            // A page of many runs is about their results; the courses of each are there when they are asked for.
            .. runs.Select(one => Gaps(one.Name, one.Run)).OfType<ReportTable>().Select(table => table with { IsFolded = runs.Length > 1 }),
        ];
    }

    /// <summary>A row for each run, and what all have cost together.</summary>
    private static ReportTable? Totals(IReadOnlyList<(string Name, int Colour, ReportRun Run)> runs)
    {
        if (runs.Count == 0) return null;
        var (costs, prices) = (runs.Any(one => HasCosts(one.Run)), runs.Any(one => Summed(one.Run.Iterations[^1], Cost) is not null));
        var budgets = runs.Any(one => Values(one.Run.Iterations[^1], Left).Length > 0);
        List<(string, string)> columns = [("Guide's tokens", "tokens that the guide wrote, as the policy counts them: also what was cut off, and what was finished to measure what the guide is worth")];
        if (costs) columns.AddRange([("Answers bought", "answers of the endpoint"), ("Tokens read", "by the endpoint, as it counts them"), ("Tokens written", "by the endpoint, as it counts them"), ("From the cache", "answers that the cache had, since the run's last process began")]);
        var currency = CurrencyOf(runs.Select(one => one.Run));
        if (prices) columns.Add(($"Cost{currency}", "by the prices of the recipe"));
        if (budgets) columns.Add(("Budget left", "of its tightest limit"));
        columns.AddRange([("Reward at the start", "on held-out prompts, or where there are none in training"), ("Reward at the end", "on the same"), ("Gained for a thousand tokens", "a rate: the policy learns from its own responses too; ± is 95 % over the held-out prompts")]);
        string[] Cells(ReportRun run)
        {
            var (last, gain) = (run.Iterations[^1], GuidanceGain.Of(run.Iterations, run.Evaluations));
            return
            [
                Whole(Last(run, "tokens/guide")),
                .. costs ? (string[])[Whole(Summed(last, Requests)), Whole(Summed(last, Read)), Whole(Summed(last, Written)), Whole(Summed(last, Cached))] : [],
                .. prices ? (string[])[CostOf([run], isNamed: currency.Length == 0)] : [],
                .. budgets ? (string[])[Values(last, Left) is { Length: > 0 } left ? string.Create(CultureInfo.InvariantCulture, $"{100 * left.Min():0.#} %") : Number.None] : [],
                .. gain is null ? (string[])[Number.None, Number.None, Number.None] : [Number.Fixed(gain.From, 4), Number.Fixed(gain.To, 4), Number.Signed(gain.PerThousand, 4) + (double.IsFinite(gain.HalfWidth) ? $" ± {Number.Fixed(gain.HalfWidthPerThousand, 4)}" : "")],
            ];
        }

        double? All(Func<ReportRun, double?> of) => runs.Select(one => of(one.Run)).OfType<double>().DefaultIfEmpty(double.NaN).Sum();
        double? AllOf(string metric) => All(run => Summed(run.Iterations[^1], metric));
        var rows = runs.Select(one => new ReportTableRow(one.Name, one.Colour, Cells(one.Run)));
        if (runs.Count > 1)
        {
            string[] sum =
            [
                Whole(All(run => Last(run, "tokens/guide"))), .. costs ? (string[])[Whole(AllOf(Requests)), Whole(AllOf(Read)), Whole(AllOf(Written)), Whole(AllOf(Cached))] : [], .. prices ? (string[])[CostOf(runs.Select(one => one.Run), isNamed: currency.Length == 0)] : [], .. budgets ? (string[])[""] : [], "", "", "",
            ];
            rows = rows.Append(new ReportTableRow("all", -1, sum, IsTotal: true));
        }

        return new("What each run's guide cost, and what was gained meanwhile", "Gained for a thousand tokens is a rate, not what the guide did alone: the policy learns from its own responses too. Compare with a run that has no guide.", "run", columns, [.. rows]);
    }

    /// <summary>What each iteration cost.</summary>
    private static ReportTable Course(string name, ReportRun run)
    {
        var stretch = Math.Max(1, (run.Iterations.Count + MostRows - 1) / MostRows);
        var hasPrices = Summed(run.Iterations[^1], Cost) is not null && Currencies([run]).Length <= 1;
        string[] metrics = [Requests, Read, Written, .. hasPrices ? (string[])[Cost] : []];
        List<ReportTableRow> rows = [];
        IterationRecord? before = null;
        foreach (var few in run.Iterations.Chunk(stretch))
        {
            var (since, last) = (before, few[^1]);
            double? Spent(string metric) => Summed(last, metric) - (since is null ? 0 : Summed(since, metric) ?? 0);
            var title = string.Create(CultureInfo.InvariantCulture, $"{few[0].Iteration + 1}{(few.Length > 1 ? $"–{last.Iteration + 1}" : "")}");
            double guideTokens = last.Metrics.GetValueOrDefault("tokens/guide") - (since?.Metrics.GetValueOrDefault("tokens/guide") ?? 0);
            rows.Add(new(title, -1, [.. metrics.Select(metric => metric == Cost ? Money(Spent(metric)) : Whole(Spent(metric))), Whole(guideTokens), Number.Fixed(few.Average(one => one.Metrics.GetValueOrDefault("reward/mean", double.NaN)), 4)]));
            before = last;
        }

        var end = run.Iterations[^1];
        rows.Add(new("all", -1, [.. metrics.Select(metric => metric == Cost ? Money(Summed(end, metric)) : Whole(Summed(end, metric))), Whole(Last(run, "tokens/guide")), ""], IsTotal: true));
        return new(
            $"Iteration by iteration: {name}", "An answer counts in the iteration in which it came, also where it was asked for the next one; the questions that found out what the endpoint can do count in the first.", stretch > 1 ? "iterations" : "iteration",
            [("Answers bought", "answers of the endpoint"), ("Tokens read", "by the endpoint"), ("Tokens written", "by the endpoint"), .. hasPrices ? ((string, string)[])[($"Cost{CurrencyOf([run])}", "by the prices of the recipe")] : [],
                ("Guide's tokens", "tokens that the guide wrote for the iteration, as the policy counts them: also what was cut off, and what was finished to measure what the guide is worth"), ("Reward", "mean of the iteration's own rows")],
            rows)
        {
            IsFolded = true,
        };
    }

    /// <summary>What each of several guides was used for, and what that bought; null where there is one guide.</summary>
    private static ReportTable? Each(string name, ReportRun run)
    {
        var last = run.Iterations[^1];
        string[] guides = [.. last.Metrics.Keys.Where(key => key.StartsWith(Prefix, StringComparison.Ordinal) && key.EndsWith($"/{Rows}", StringComparison.Ordinal)).Select(key => key[Prefix.Length..^(Rows.Length + 1)])];
        if (guides.Length == 0) return null;
        double? Of(string guide, string metric) => last.Metrics.TryGetValue($"{Prefix}{guide}/{metric}", out var value) && double.IsFinite(value) ? value : null;
        var (all, hasCosts, hasPrices) = (guides.Sum(guide => Of(guide, Rows) ?? 0), guides.Any(guide => Of(guide, Requests) is not null), guides.Any(guide => Of(guide, Cost) is not null));
        var rows = guides.Select(guide =>
        {
            var (written, tokens, gained) = (Of(guide, Rows) ?? 0, Of(guide, Tokens), (Of(guide, Rows) ?? 0) * (Of(guide, Gain) ?? 0));
            return new ReportTableRow(guide, -1,
            [
                Whole(written), all > 0 ? string.Create(CultureInfo.InvariantCulture, $"{100 * written / all:0.#} %") : Number.None, Whole(tokens), written > 0 ? Number.Signed(gained / written, 4) : Number.None,
                tokens > 0 ? Number.Signed(1000 * gained / tokens.Value, 4) : Number.None, .. hasCosts ? (string[])[Whole(Of(guide, Requests)), Whole(Of(guide, Read)), Whole(Of(guide, Written))] : [],
                .. hasPrices ? (string[])[Money(Of(guide, Cost)), Of(guide, Cost) is > 0 and var cost ? Number.Signed(gained / cost, 2) : Number.None] : [],
            ]);
        });
        var currency = CurrencyOf([run]);
        return new(
            $"What each guide was used for, and what it bought: {name}", "Gained is the reward of a guide's rows less that of the rows that the policy wrote alone in the same iteration.", "guide",
            [("Rows", "rows that it wrote of"), ("Share", "of all rows that a guide wrote of"), ("Tokens", "that it wrote, as the policy counts them"), ("Gained a row", "mean"), ("Gained for a thousand tokens", "all that it gained, by all tokens that it wrote"),
                .. hasCosts ? ((string, string)[])[("Answers bought", "of an endpoint"), ("Tokens read", "by an endpoint"), ("Tokens written", "by an endpoint")] : [],
                .. hasPrices ? ((string, string)[])[($"Cost{currency}", "by the prices of the recipe"), ($"Gained for {(currency.Length > 0 ? $"1{currency[1..]}" : "one of the prices' unit")}", "all that it gained, by what it cost")] : []],
            [.. rows]);
    }

    /// <summary>How far the guide is ahead of the policy on the same beginnings; null where that wasn't measured.</summary>
    private static ReportTable? Gaps(string name, ReportRun run)
    {
        IterationRecord[] measured = [.. run.Iterations.Where(record => double.IsFinite(record.Metrics.GetValueOrDefault("worth/gap", double.NaN)))];
        if (measured.Length == 0) return null;
        // Evenly spread, the first and the last among them.
        var shown = Enumerable.Range(0, Math.Min(MostGaps, measured.Length)).Select(i => measured[measured.Length <= MostGaps ? i : (int)Math.Round(i * (measured.Length - 1) / (MostGaps - 1.0))]);
        return new(
            $"What the guide makes of the same beginnings: {name}", "Policy and guide finish the same beginnings, and the rewards are compared pair by pair. Each line is of the last measured iterations (guide_worth.window), so that lines share pairs; of long runs some are shown.", "iteration",
            [("Guide", "mean reward of what the guide finished"), ("Policy", "mean reward of what the policy finished"), ("Gap", "guide less policy, with its 95 % interval"), ("Distance, nats", "by how much a token of the guide's is less likely under the policy than one of its own")],
            [.. shown.Select(record =>
            {
                double Of(string metric) => record.Metrics.GetValueOrDefault(metric, double.NaN);
                return new ReportTableRow((record.Iteration + 1).ToString(CultureInfo.InvariantCulture), -1,
                    [Number.Fixed(Of("worth/guide"), 4), Number.Fixed(Of("worth/policy"), 4), $"{Number.Signed(Of("worth/gap"), 4)} ± {Number.Fixed(Of("worth/gap_half_width"), 4)}", Number.Fixed(Of("worth/distance"), 2)]);
            })]);
    }

    private static string NameOf(RunGroup group, ReportRun run) => group.Runs.Count == 1 ? group.Label : string.Create(CultureInfo.InvariantCulture, $"{group.Label}, seed {run.Description.Seed}");

    private static bool HasCosts(ReportRun run) => run.Iterations.Count > 0 && Summed(run.Iterations[^1], Requests) is not null;

    private static double Last(ReportRun run, string metric) => run.Iterations[^1].Metrics.GetValueOrDefault(metric);

    /// <summary>A metric of the guide, or of each of several.</summary>
    private static double[] Values(IterationRecord record, string metric) =>
        [.. record.Metrics.Where(one => one.Key.StartsWith(Prefix, StringComparison.Ordinal) && (one.Key == Prefix + metric || one.Key.EndsWith($"/{metric}", StringComparison.Ordinal)) && double.IsFinite(one.Value)).Select(one => one.Value)];

    private static double? Summed(IterationRecord record, string metric) => Values(record, metric) is { Length: > 0 } values ? values.Sum() : null;

    private static string Whole(double? count) => count is { } value && double.IsFinite(value) ? value.ToString("#,0", CultureInfo.InvariantCulture) : Number.None;

    private static string Money(double? amount) => amount is { } value && double.IsFinite(value) ? value.ToString("0.00" + new string('#', value is > 0 and < 0.01 ? (int)Math.Ceiling(-Math.Log10(value)) : 2), CultureInfo.InvariantCulture) : Number.None;

    /// <summary>The currency of the runs' prices, after a comma; nothing where it isn't known or is another for some.</summary>
    private static string CurrencyOf(IEnumerable<ReportRun> runs) => Currencies(runs) is [var currency] ? $", {currency}" : "";

    private static string[] Currencies(IEnumerable<ReportRun> runs) =>
        [.. runs.SelectMany(run => run.Settings).Where(setting => setting.Key.EndsWith("budget.cost", StringComparison.Ordinal)).Select(setting => setting.Value.Trim('"', '\'').Split(' ')[^1]).Where(word => word.Length == 3).Distinct()];

    /// <summary>What runs have cost, each currency by itself; nothing of a run that pays in several, whose guides have their own table.</summary>
    private static string CostOf(IEnumerable<ReportRun> runs, bool isNamed)
    {
        var byCurrency = runs.Where(run => Summed(run.Iterations[^1], Cost) is not null && Currencies([run]).Length <= 1).GroupBy(run => Currencies([run]) is [var currency] ? currency : "")
            .Select(group => Money(group.Sum(run => Summed(run.Iterations[^1], Cost))) + (isNamed && group.Key.Length > 0 ? $" {group.Key}" : ""));
        return string.Join(" and ", byCurrency) is { Length: > 0 } said ? said : Number.None;
    }
}
