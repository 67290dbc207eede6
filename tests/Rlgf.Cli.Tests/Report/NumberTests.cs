using Rlgf.App.Report;

namespace Rlgf.Cli.Tests.Report;

public sealed class NumberTests
{
    [Theory]
    [InlineData(-0.00000039, 1, "0.0")]
    [InlineData(-0.06, 1, "−0.1")]
    [InlineData(0.351, 2, "0.35")]
    [InlineData(double.NaN, 2, "–")]
    public void What_rounds_to_zero_has_no_sign(double value, int decimals, string text) => Assert.Equal(text, Number.Fixed(value, decimals));

    [Fact]
    public void An_axis_does_not_begin_a_step_earlier_for_what_nobody_sees()
    {
        var axis = Axis.Over([-0.0000004, 11.8, 18], 0, 100);
        Assert.Equal(0, axis.Low);
        Assert.Equal(20, axis.High);
        Assert.Equal(-5, Axis.Over([-0.4, 11.8, 18], 0, 100).Low);
    }

    [Theory]
    [InlineData(12, new double[] { 0, 2, 4, 6, 8, 10, 12 })]
    [InlineData(24, new double[] { 0, 4, 8, 12, 16, 20, 24 })]
    [InlineData(40, new double[] { 0, 10, 20, 30, 40 })]
    [InlineData(23, new double[] { 0, 5, 10, 15, 20, 23 })]
    [InlineData(11, new double[] { 0, 5, 11 })]
    [InlineData(3, new double[] { 0, 1, 2, 3 })]
    [InlineData(1, new double[] { 0, 1 })]
    [InlineData(500, new double[] { 0, 100, 200, 300, 400, 500 })]
    public void An_axis_of_iterations_ends_at_the_last_one(double last, double[] ticks)
    {
        var axis = Axis.OverCounts([0, last / 2, last], 0, 100);
        Assert.Equal((0, last), (axis.Low, axis.High));
        Assert.Equal(ticks, axis.Ticks);
        Assert.Equal(100, axis.Of(last));
        Assert.Equal(1, Axis.OverCounts([0, 0], 0, 100).High);
        // What is counted from 1 has the ticks of what begins at 0.
        Assert.Equal(Axis.OverCounts([0, 40], 0, 100), Axis.OverCounts([1, 40], 0, 100));
    }

    [Fact]
    public void Bands_of_shares_stay_between_0_and_1_and_those_of_lengths_above_0()
    {
        ReportRun WithMetrics(ulong seed, double share, double loss) => SyntheticRuns.Run("ppo", seed, 0.7) is var run ? run with
        {
            Iterations = [.. run.Iterations.Select(record => record with { Metrics = new Dictionary<string, double> { ["policy/clip_fraction"] = share, ["reward/mean"] = share, ["seconds/total"] = loss, ["loss/policy"] = loss } })],
        } : run;
        var charts = Curves.Of(RunGroup.Of([WithMetrics(1, 0, 0.1), WithMetrics(2, 0.05, 9), WithMetrics(3, 1, 0.1)])).Single(set => set.Key == "training").Charts;
        ChartPoint First(string title) => charts.Single(chart => chart.Title == title).Series[0].Points[0];
        Assert.Equal((0.0, 0.35), (First("Clipped share").Low, Math.Round(First("Clipped share").Y, 10)));
        Assert.Equal(0, First("Reward").Low);
        Assert.Equal(0, First("Seconds an iteration").Low);
        Assert.True(First("Policy loss").Low < 0);
        Assert.All(charts.SelectMany(chart => chart.Series).SelectMany(series => series.Points), point => Assert.True(point.Low <= point.Y && point.Y <= point.High));
    }

    [Fact]
    public void Every_text_of_a_chart_lies_within_it()
    {
        var points = new[] { new ChartPoint(0, -0.00012), new ChartPoint(8000, 0.00034) };
        foreach (var svg in new[]
        {
            new LineChart("t", "tokens", [new ChartSeries("s", 0, points)], [new ChartLevel("guide", 0.0004)]).ToSvg(),
            new LineChart("t", "iteration", [new ChartSeries("s", 0, points)], []) { CountsX = true }.ToSvg(),
            new IntervalChart("t", [new IntervalLine("a", new Rlgf.Statistics.Interval(8000, 7900, 8100, 3), 0), new IntervalLine("b", new Rlgf.Statistics.Interval(0, -100, 100, 3), 0)]).ToSvg(),
        })
        {
            var root = System.Xml.Linq.XElement.Parse(svg);
            var width = double.Parse(root.Attribute("viewBox")!.Value.Split(' ')[2], System.Globalization.CultureInfo.InvariantCulture);
            Assert.Equal(LineChart.Width, width);
            foreach (var text in root.Descendants("text"))
            {
                Assert.True(double.Parse(text.Attribute("y")!.Value, System.Globalization.CultureInfo.InvariantCulture) >= 9, text.Value);
                var at = double.Parse(text.Attribute("x")!.Value, System.Globalization.CultureInfo.InvariantCulture);
                // 12 px letters of the usual fonts are 6.7 px wide at most where they are digits.
                var length = 6.7 * text.Value.Length;
                var start = text.Attribute("text-anchor")!.Value == "middle" ? at - length / 2 : at - length;
                Assert.True(start >= -0.5 && start + length <= width + 0.5, $"{text.Value} from {start} to {start + length} of {width}");
            }
        }
    }
}
