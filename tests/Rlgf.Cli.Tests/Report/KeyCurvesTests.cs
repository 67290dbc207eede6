using Rlgf.App.Report;

namespace Rlgf.Cli.Tests.Report;

/// <summary>Results against a number in the recipes: which runs are one line.</summary>
public sealed class KeyCurvesTests
{
    [Fact]
    public void Against_a_number_of_the_guide_an_algorithm_is_one_line_and_the_guide_another()
    {
        ReportRun Run(string algorithm, string right, ulong seed, double reward) =>
            SyntheticRuns.Run(algorithm, seed, reward, guide: $"references, {right} right") with { Settings = new Dictionary<string, string> { ["algorithm.name"] = algorithm, ["guide.right"] = right } };
        ReportRun[] runs = [.. new[] { "0.01", "0.1", "0.6" }.SelectMany((right, i) => new ulong[] { 1, 2 }.SelectMany(seed => new[] { Run("lols", right, seed, 0.5 + 0.1 * i), Run("adaptive", right, seed, 0.8) }))];
        var chart = KeyCurves.Of(RunGroup.Of(runs), ["guide.right"])[0];
        Assert.Equal(["LOLS", "Adaptive", "guide"], chart.Series.Select(line => line.Label));
        Assert.All(chart.Series, line => Assert.Equal([0.01, 0.1, 0.6], line.Points.Select(point => point.X)));
        Assert.Empty(chart.Levels);
        // A point of the guide's is the mean of what its own runs asked it.
        var asked = runs.Where(run => run.Description.Guide == "references, 0.1 right").Select(run => run.Guide!.Rows.Average(row => row.Reward)).Distinct();
        Assert.Equal(asked.Average(), chart.Series[2].Points[1].Y, 9);
    }

    [Fact]
    public void Against_any_other_number_each_guide_has_its_lines_and_its_level()
    {
        ReportRun Run(string guide, string epochs) => SyntheticRuns.Run("lols", 1, 0.5, guide: guide) with { Settings = new Dictionary<string, string> { ["update.epochs"] = epochs } };
        var chart = KeyCurves.Of(RunGroup.Of([Run("weak", "1"), Run("weak", "4"), Run("strong", "1"), Run("strong", "4")]), ["update.epochs"])[0];
        Assert.Equal(["LOLS, weak", "LOLS, strong"], chart.Series.Select(line => line.Label));
        Assert.Equal(["guide: weak", "guide: strong"], chart.Levels.Select(level => level.Label));
    }
}
