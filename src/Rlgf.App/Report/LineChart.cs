using System.Globalization;
using System.Text;

namespace Rlgf.App.Report;

/// <summary>A point of a curve with the band around it; NaN where there is none.</summary>
internal readonly record struct ChartPoint(double X, double Y, double Low = double.NaN, double High = double.NaN);

/// <summary>A curve.</summary>
/// <param name="Label">Whose curve it is.</param>
/// <param name="Colour">Number of its colour, the same in every chart of a report.</param>
/// <param name="Points">In the order to join them; a NaN interrupts the line.</param>
internal sealed record ChartSeries(string Label, int Colour, IReadOnlyList<ChartPoint> Points);

/// <summary>A dashed horizontal line, such as the guide's reward.</summary>
internal sealed record ChartLevel(string Label, double Y);

/// <summary>
/// A chart of curves as SVG. Colours and fonts come from the page's style sheet by class (<c>s0</c>, <c>s1</c>, …), so that the same picture does for light and dark
/// and a curve can be switched off; <see cref="ToPicture"/> brings its own style sheet.
/// </summary>
internal sealed record LineChart(string Title, string XLabel, IReadOnlyList<ChartSeries> Series, IReadOnlyList<ChartLevel> Levels)
{
    /// <summary>Whether x counts something, such as iterations.</summary>
    public bool CountsX { get; init; }

    /// <summary>Whether x is drawn by powers of ten; all x are above 0 then.</summary>
    public bool PowersX { get; init; }

    /// <summary>Width of every chart of a report, so that all have letters of one size.</summary>
    public const double Width = 360;

    /// <summary>Width of a digit, at most, in the size of the ticks' texts.</summary>
    private const double Letter = 7;

    private const double Height = 240, Right = 14, Top = 10, Bottom = 36, Gap = 6;
    private const int MostMarkers = 30;

    /// <summary>Whether there is a number to show.</summary>
    public bool HasData => Series.Any(s => s.Points.Any(IsDrawn));

    /// <summary>To be put into a page of <see cref="HtmlReport"/>.</summary>
    public string ToSvg()
    {
        var svg = new StringBuilder();
        svg.Append(Invariant($"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{HtmlText.Escape(Title)}\">"));
        Draw(svg);
        return svg.Append("</svg>").ToString();
    }

    /// <summary>A file of its own: with title, legend and style.</summary>
    public string ToPicture()
    {
        var body = new StringBuilder();
        Draw(body);
        return SvgPicture.Of(Title, Width, Height, body.ToString(), Series.Count, [.. Series.Select(s => (s.Label, s.Colour))]);
    }

    private static bool IsDrawn(ChartPoint p) => double.IsFinite(p.X) && double.IsFinite(p.Y);

    private void Draw(StringBuilder svg)
    {
        var points = Series.SelectMany(s => s.Points).Where(IsDrawn).ToArray();
        var y = Axis.Over(points.SelectMany(p => new[] { p.Y, p.Low, p.High }).Concat(Levels.Select(l => l.Y)).Where(double.IsFinite), Height - Bottom, Top);
        // As much room on the left as the longest number takes.
        var left = Math.Max(44, Gap + 4 + Letter * y.Ticks.Max(tick => y.Label(tick).Length));
        var xs = points.Select(p => p.X);
        var x = PowersX ? Axis.OverPowers(xs, left, Width - Right) : CountsX ? Axis.OverCounts(xs, left, Width - Right) : Axis.Over(xs, left, Width - Right);
        foreach (var tick in y.Ticks)
        {
            var at = y.Of(tick);
            svg.Append(Invariant($"<path class=\"grid\" d=\"M{left:0.#} {at:0.#}H{Width - Right}\"/><text class=\"tick\" text-anchor=\"end\" x=\"{left - Gap:0.#}\" y=\"{at + 4:0.#}\">{y.Label(tick)}</text>"));
        }
        foreach (var tick in x.Ticks)
        {
            svg.Append(Invariant($"<text class=\"tick\" text-anchor=\"middle\" x=\"{Inside(x.Of(tick), x.Label(tick)):0.#}\" y=\"{Height - Bottom + 16}\">{x.Label(tick)}</text>"));
        }
        svg.Append(Invariant($"<text class=\"label\" text-anchor=\"middle\" x=\"{(left + Width - Right) / 2:0.#}\" y=\"{Height - 5}\">{HtmlText.Escape(XLabel)}</text>"));
        foreach (var series in Series) Draw(svg, series, x, y);
        foreach (var level in Levels.Where(l => double.IsFinite(l.Y)))
        {
            var at = y.Of(level.Y);
            svg.Append(Invariant($"<path class=\"level\" d=\"M{left:0.#} {at:0.#}H{Width - Right}\"/><text class=\"over\" text-anchor=\"end\" x=\"{Width - Right}\" y=\"{(at < Top + 12 ? at + 13 : at - 4):0.#}\">{HtmlText.Escape(level.Label, 24)}</text>"));
        }
    }

    private void Draw(StringBuilder svg, ChartSeries series, Axis x, Axis y)
    {
        svg.Append(Invariant($"<g class=\"series s{series.Colour}\">"));
        var banded = series.Points.Where(p => IsDrawn(p) && double.IsFinite(p.Low) && double.IsFinite(p.High)).ToArray();
        if (banded.Length > 1)
        {
            var up = banded.Select(p => At(x.Of(p.X), y.Of(p.High)));
            var back = banded.Reverse().Select(p => At(x.Of(p.X), y.Of(p.Low)));
            svg.Append("<path class=\"band\" d=\"M").AppendJoin('L', up.Concat(back)).Append("Z\"/>");
        }
        var line = new StringBuilder();
        var isOn = false;
        foreach (var p in series.Points)
        {
            if (IsDrawn(p)) line.Append(isOn ? 'L' : 'M').Append(At(x.Of(p.X), y.Of(p.Y)));
            isOn = IsDrawn(p);
        }
        svg.Append("<path class=\"line\" d=\"").Append(line).Append("\"/>");
        var drawn = series.Points.Where(IsDrawn).ToArray();
        if (drawn.Length <= MostMarkers)
        {
            foreach (var p in drawn)
            {
                svg.Append(Invariant($"<circle cx=\"{x.Of(p.X):0.#}\" cy=\"{y.Of(p.Y):0.#}\" r=\"2.6\"><title>{HtmlText.Escape(series.Label)}: {Number.Short(p.Y)} at {HtmlText.Escape(XLabel)} {Number.Short(p.X)}</title></circle>"));
            }
        }
        svg.Append("</g>");
    }

    /// <summary>The middle of a text that lies within the picture, as near to a place as can be.</summary>
    internal static double Inside(double at, string text) => Math.Clamp(at, Letter * text.Length / 2, Width - Letter * text.Length / 2);

    private static string At(double x, double y) => Invariant($"{x:0.#} {y:0.#}");

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
