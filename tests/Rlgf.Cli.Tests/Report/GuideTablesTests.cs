using Rlgf.App.Report;
using Rlgf.Evaluation;
using Rlgf.Runs;

namespace Rlgf.Cli.Tests.Report;

/// <summary>What the guide cost and what that bought, as a report says it: numbers worked out by hand.</summary>
public sealed class GuideTablesTests
{
    [Fact]
    public void A_guide_with_prices_has_its_costs_in_all_and_iteration_by_iteration()
    {
        var run = Run(
            Costs(requests: 6, read: 600, written: 60, cost: 0.002, tokens: 50, reward: 0.1),
            Costs(requests: 16, read: 1600, written: 160, cost: 0.005, tokens: 150, reward: 0.3));
        var tables = GuideTables.Of(RunGroup.Of([run]));
        Assert.Equal(["What each run's guide cost, and what was gained meanwhile", "Iteration by iteration: PPO++"], tables.Select(table => table.Title));
        Assert.Equal(["Guide's tokens", "Answers bought", "Tokens read", "Tokens written", "From the cache", "Cost, USD", "Budget left", "Reward at the start", "Reward at the end", "Gained for a thousand tokens"], tables[0].Columns.Select(column => column.Header));
        // 0.2 more for 150 tokens.
        Assert.Equal(["150", "16", "1,600", "160", "3", "0.005", "75 %", "0.1000", "0.3000", "+1.3333"], Assert.Single(tables[0].Rows).Cells);
        Assert.Equal(["1: 6 600 60 0.002 50 0.1000", "2: 10 1,000 100 0.003 100 0.3000", "all: 16 1,600 160 0.005 150 "], tables[1].Rows.Select(row => $"{row.Name}: {string.Join(' ', row.Cells)}"));
        Assert.True(tables[1].Rows[^1].IsTotal);
    }

    [Fact]
    public void Runs_are_summed_and_long_ones_in_stretches()
    {
        ReportRun Long(ulong seed) => Run([.. Enumerable.Range(1, 100).Select(i => Costs(2 * i, 20 * i, i, 0.1 * i, 3 * i, 0))]) with { Description = new("r", "ppo_plus_plus", seed, "m") };
        var tables = GuideTables.Of(RunGroup.Of([Long(1), Long(2)]));
        Assert.Equal(["PPO++, seed 1", "PPO++, seed 2", "all"], tables[0].Rows.Select(row => row.Name));
        Assert.Equal(["600", "400", "4,000", "200", "6", "20.00", "", "", "", ""], tables[0].Rows[^1].Cells);
        // 100 iterations in stretches of three.
        Assert.Equal((35, "1–3", "100", "all"), (tables[1].Rows.Count, tables[1].Rows[0].Name, tables[1].Rows[33].Name, tables[1].Rows[34].Name));
        Assert.Equal("6 60 3 0.30 9 0.0000", string.Join(' ', tables[1].Rows[0].Cells));
    }

    [Fact]
    public void Of_several_guides_each_has_what_it_was_used_for_and_what_it_bought()
    {
        var metrics = new Dictionary<string, double>
        {
            ["tokens/guide"] = 500, ["reward/mean"] = 0.5,
            ["guide/large/rows"] = 30, ["guide/large/tokens"] = 300, ["guide/large/gain"] = 0.2, ["guide/large/requests"] = 31, ["guide/large/prompt_tokens"] = 900, ["guide/large/completion_tokens"] = 310, ["guide/large/cost"] = 0.5,
            ["guide/small/rows"] = 10, ["guide/small/tokens"] = 200, ["guide/small/gain"] = -0.1,
            ["guide/unused/rows"] = 0, ["guide/unused/tokens"] = 0, ["guide/unused/gain"] = 0,
        };
        var table = GuideTables.Of(RunGroup.Of([Run(metrics)])).Single(one => one.Title.StartsWith("What each guide", StringComparison.Ordinal));
        Assert.Equal(["Rows", "Share", "Tokens", "Gained a row", "Gained for a thousand tokens", "Answers bought", "Tokens read", "Tokens written", "Cost, USD", "Gained for 1 USD"], table.Columns.Select(column => column.Header));
        // 30 rows that gained 0.2 each are 6: 20 for a thousand of 300 tokens, 12 for each of half a dollar.
        Assert.Equal(["large: 30 75 % 300 +0.2000 +20.0000 31 900 310 0.50 +12.00", "small: 10 25 % 200 −0.1000 −5.0000 – – – – –", "unused: 0 0 % 0 – – – – – – –"],
            table.Rows.Select(row => $"{row.Name}: {string.Join(' ', row.Cells)}"));
    }

    [Fact]
    public void The_gap_has_its_course_from_the_first_to_the_last()
    {
        var run = Run([.. Enumerable.Range(0, 100).Select(i => new Dictionary<string, double>
        {
            ["worth/gap"] = i < 4 ? double.NaN : 0.5 - (i / 100.0), ["worth/gap_half_width"] = 0.25, ["worth/guide"] = 0.75, ["worth/policy"] = 0.25 + (i / 100.0), ["worth/distance"] = 1.5,
        })]);
        var table = Assert.Single(GuideTables.Of(RunGroup.Of([run])));
        Assert.Equal((12, "5", "100"), (table.Rows.Count, table.Rows[0].Name, table.Rows[^1].Name));
        Assert.Equal(["0.7500", "0.2900", "+0.4600 ± 0.2500", "1.50"], table.Rows[0].Cells);
        Assert.Equal("−0.4900 ± 0.2500", table.Rows[^1].Cells[2]);
    }

    [Fact]
    public void Of_many_runs_the_gaps_are_there_when_they_are_asked_for()
    {
        ReportRun Of(ulong seed) => Run(new Dictionary<string, double> { ["worth/gap"] = 0.1, ["worth/gap_half_width"] = 0.2 }) with { Description = new("r", "ppo_plus_plus", seed, "m") };
        Assert.All(GuideTables.Of(RunGroup.Of([Of(1), Of(2)])), table => Assert.True(table.IsFolded));
        Assert.False(Assert.Single(GuideTables.Of(RunGroup.Of([Of(1)]))).IsFolded);
    }

    [Fact]
    public void Costs_in_several_currencies_are_never_added_up()
    {
        ReportRun Of(ulong seed, string currency, double cost) => Run(Costs(1, 2, 3, cost, 5, 0)) with { Description = new("r", "ppo_plus_plus", seed, "m"), Recipe = $"guide:\n  budget:\n    cost: 5.00 {currency}\n" };
        var table = GuideTables.Of(RunGroup.Of([Of(1, "USD", 0.25), Of(2, "EUR", 0.5), Of(3, "USD", 1)]))[0];
        var column = table.Columns.Select(one => one.Header).ToList().IndexOf("Cost");
        Assert.Equal(["0.25 USD", "1.00 USD", "0.50 EUR", "1.25 USD and 0.50 EUR"], table.Rows.Select(row => row.Cells[column]));
        // Two guides of one run that are paid in different currencies: their sum is a number of nothing.
        var mixed = Run(new Dictionary<string, double> { ["tokens/guide"] = 5, ["guide/a/requests"] = 1, ["guide/a/cost"] = 0.25, ["guide/b/requests"] = 1, ["guide/b/cost"] = 0.5 }) with
        {
            Recipe = "guide:\n  guides:\n  - guide:\n      budget:\n        cost: 5.00 USD\n  - guide:\n      budget:\n        cost: 5.00 EUR\n",
        };
        Assert.Equal("–", GuideTables.Of(RunGroup.Of([mixed]))[0].Rows[0].Cells[column]);
    }

    [Fact]
    public void What_was_gained_has_the_interval_of_the_same_prompts_before_and_after()
    {
        EvaluationRow Row(double reward) => new("p", "r", 1, true, reward, new Dictionary<string, double>(), double.NaN, 0, 0);
        EvaluationRecord Of(int iteration, params double[] rewards) => new(iteration, new Dictionary<string, double> { ["reward/mean"] = rewards.Average() }, [.. rewards.Select(Row)]);
        var run = Run(Costs(1, 2, 3, 0, 500, 0)) with { Evaluations = [Of(0, 0, 1, 0, 1), Of(1, 1, 1, 1, 1)] };
        // Differences 1, 0, 1, 0: 0.5 with s = 0.57735, half = 3.18245 · s / 2 = 0.91869; for a thousand tokens twice that.
        Assert.Equal("+1.0000 ± 1.8374", GuideTables.Of(RunGroup.Of([run]))[0].Rows[0].Cells[^1]);
        Assert.EndsWith("with 500 tokens of the guide's: +1.0000 ± 1.8374 for a thousand", GuidanceGain.Of(run.Iterations, run.Evaluations)!.Line, StringComparison.Ordinal);
    }

    [Fact]
    public void Runs_without_a_guide_have_no_tables() => Assert.Empty(GuideTables.Of(RunGroup.Of([SyntheticRuns.Run("ppo", 1, 0.7, guide: null)])));

    [Fact]
    public void A_page_shows_them_and_names_stay_text()
    {
        var run = Run(Costs(6, 600, 60, 0.002, 50, 0.1), Costs(16, 1600, 160, 0.005, 150, 0.3), new Dictionary<string, double> { ["guide/<b>/rows"] = 1, ["tokens/guide"] = 3, ["worth/gap"] = 0.1, ["worth/gap_half_width"] = 0.2 });
        var page = HtmlReportTests.Check("guide", new ReportData("A guide that costs", [run]));
        Assert.Contains("<h2 id=\"guide\">", page, StringComparison.Ordinal);
        Assert.Contains("&lt;b&gt;", page, StringComparison.Ordinal);
        Assert.Contains("<small> ± 0.2000</small>", page, StringComparison.Ordinal);
    }

    private static ReportRun Run(params Dictionary<string, double>[] metrics) => SyntheticRuns.Run("ppo_plus_plus", 1, 0.7) with
    {
        Iterations = [.. metrics.Select((of, i) => new IterationRecord(i, SyntheticRuns.Run("ppo_plus_plus", 1, 0.7).Iterations[0].Plan, of))],
        Evaluations = [],
        Recipe = "guide:\n  budget:\n    cost: 5.00 USD\n",
    };

    private static Dictionary<string, double> Costs(double requests, double read, double written, double cost, double tokens, double reward) => new()
    {
        ["guide/requests"] = requests, ["guide/prompt_tokens"] = read, ["guide/completion_tokens"] = written, ["guide/cost"] = cost, ["guide/cached"] = 3, ["guide/left"] = 0.75, ["tokens/guide"] = tokens, ["reward/mean"] = reward,
    };
}
