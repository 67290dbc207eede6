using Rlgf.App.Report;
using Rlgf.Statistics;

namespace Rlgf.Cli.Tests.Report;

/// <summary>Where charts draw what, worked by hand: x from 44 to 346, y from 204 up to 10.</summary>
public sealed class ChartCoordinatesTests
{
    [Fact]
    public void Curves_bands_levels_and_ticks_lie_where_their_numbers_are()
    {
        var points = new ChartPoint[] { new(0, 0, 0, 0.25), new(5, 1, 0.75, 1), new(10, 0.5, 0.25, 0.75) };
        var svg = new LineChart("title", "iterations", [new ChartSeries("a", 0, points)], [new ChartLevel("guide", 0.25)]) { CountsX = true }.ToSvg();
        // y(v) = 204 − 194 v; x(n) = 44 + 30.2 n.
        Assert.Contains("<path class=\"line\" d=\"M44 204L195 10L346 107\"/>", svg, StringComparison.Ordinal);
        Assert.Contains("<path class=\"band\" d=\"M44 155.5L195 10L346 58.5L346 155.5L195 58.5L44 204Z\"/>", svg, StringComparison.Ordinal);
        Assert.Contains("<path class=\"level\" d=\"M44 155.5H346\"/>", svg, StringComparison.Ordinal);
        Assert.Contains("<circle cx=\"195\" cy=\"10\"", svg, StringComparison.Ordinal);
        foreach (var (tick, y) in new[] { ("0", 204.0), ("0.2", 165.2), ("0.4", 126.4), ("0.6", 87.6), ("0.8", 48.8), ("1.0", 10.0) })
            Assert.Contains(FormattableString.Invariant($"d=\"M44 {y:0.#}H346\"/><text class=\"tick\" text-anchor=\"end\" x=\"38\" y=\"{y + 4:0.#}\">{tick}</text>"), svg, StringComparison.Ordinal);
        foreach (var (tick, x) in new[] { ("0", 44.0), ("2", 104.4), ("4", 164.8), ("6", 225.2), ("8", 285.6), ("10", 346.0) })
            Assert.Contains(FormattableString.Invariant($"text-anchor=\"middle\" x=\"{x:0.#}\" y=\"220\">{tick}</text>"), svg, StringComparison.Ordinal);
    }

    [Fact]
    public void A_number_that_is_missing_interrupts_the_line()
    {
        var points = new ChartPoint[] { new(0, 0), new(1, 1), new(2, double.NaN), new(3, 1), new(4, 0) };
        var svg = new LineChart("title", "x", [new ChartSeries("a", 0, points)], []) { CountsX = true }.ToSvg();
        Assert.Contains("d=\"M44 204L119.5 10M270.5 10L346 204\"", svg, StringComparison.Ordinal);
    }

    [Fact]
    public void A_title_too_long_for_its_picture_has_smaller_letters()
    {
        string Picture(string title) => new LineChart(title, "x", [new ChartSeries("a", 0, [new(0, 0), new(1, 1)])], []).ToPicture();
        Assert.Contains("<text class=\"head\" x=\"16\" y=\"23\">title</text>", Picture("title"), StringComparison.Ordinal);
        // 72 letters of 9.1 at size 15 would be 655.2 wide, and there is room for 328.
        var title = new string('t', 72);
        Assert.Contains($"<text class=\"head\" style=\"font-size:7.5px\" x=\"16\" y=\"23\">{title}</text>", Picture(title), StringComparison.Ordinal);
    }

    [Fact]
    public void Intervals_lie_where_their_ends_are()
    {
        var svg = new IntervalChart("title", [new IntervalLine("a", new Interval(0.5, 0, 1, 9), 0), new IntervalLine("b", new Interval(0.25, double.NaN, double.NaN, 1), 1)]).ToSvg();
        // x(v) = 118 + 226 v; a row is 26 high.
        Assert.Contains("<path class=\"line\" d=\"M118 13H344\"/>", svg, StringComparison.Ordinal);
        Assert.Contains("<circle cx=\"231\" cy=\"13\"", svg, StringComparison.Ordinal);
        Assert.Contains("<circle cx=\"174.5\" cy=\"39\"", svg, StringComparison.Ordinal);
        Assert.Contains("viewBox=\"0 0 360 76\"", svg, StringComparison.Ordinal);
    }
}
