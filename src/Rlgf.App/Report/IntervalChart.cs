using System.Globalization;
using System.Text;
using Rlgf.Statistics;

namespace Rlgf.App.Report;

/// <summary>One line of an <see cref="IntervalChart"/>; a colour below 0 is neutral.</summary>
internal sealed record IntervalLine(string Label, Interval Value, int Colour);

/// <summary>Means with their intervals below each other: the table's most important column as a picture.</summary>
internal sealed record IntervalChart(string Title, IReadOnlyList<IntervalLine> Lines)
{
    private const double Width = LineChart.Width, LeastLeft = 118, MostLeft = 190, Letter = 7, Gap = 10, Right = 16, RowHeight = 26, Bottom = 24;

    /// <summary>As much room as the longest name takes, up to half of the picture.</summary>
    private double Left => Math.Clamp(Gap + Letter * Lines.Max(line => line.Label.Length), LeastLeft, MostLeft);

    private double Height => Lines.Count * RowHeight + Bottom;

    /// <summary>To be put into a page of <see cref="HtmlReport"/>.</summary>
    public string ToSvg() =>
        Invariant($"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{HtmlText.Escape(Title)}\">") + Body() + "</svg>";

    /// <summary>A file of its own.</summary>
    public string ToPicture() => SvgPicture.Of(Title, Width, Height, Body(), Lines.Max(line => line.Colour) + 1, []);

    private string Body()
    {
        var svg = new StringBuilder();
        var ends = Lines.SelectMany(line => new[] { line.Value.Mean, line.Value.Low, line.Value.High }).Where(double.IsFinite).DefaultIfEmpty(0).ToArray();
        var axis = Axis.Over(ends, Left, Width - Right);
        foreach (var tick in axis.Ticks)
        {
            svg.Append(Invariant($"<path class=\"grid\" d=\"M{axis.Of(tick):0.#} 2V{Height - Bottom}\"/><text text-anchor=\"middle\" x=\"{LineChart.Inside(axis.Of(tick), axis.Label(tick)):0.#}\" y=\"{Height - 7}\">{axis.Label(tick)}</text>"));
        }
        for (var i = 0; i < Lines.Count; i++)
        {
            var (line, y) = (Lines[i], i * RowHeight + RowHeight / 2);
            svg.Append(Invariant($"<text class=\"name\" text-anchor=\"end\" x=\"{Left - Gap}\" y=\"{y + 4}\">{HtmlText.Escape(ResultsText.Shortened(line.Label, (int)((Left - Gap) / Letter)))}</text>"));
            if (!double.IsFinite(line.Value.Mean)) continue;
            svg.Append(line.Colour < 0 ? "<g class=\"series neutral\">" : Invariant($"<g class=\"series s{line.Colour}\">"));
            if (double.IsFinite(line.Value.HalfWidth)) svg.Append(Invariant($"<path class=\"line\" d=\"M{axis.Of(line.Value.Low):0.#} {y}H{axis.Of(line.Value.High):0.#}\"/>"));
            svg.Append(Invariant($"<circle cx=\"{axis.Of(line.Value.Mean):0.#}\" cy=\"{y}\" r=\"4.5\"><title>{HtmlText.Escape(line.Label)}: {Number.Fixed(line.Value.Mean, 3)}, 95 % interval {Number.Fixed(line.Value.Low, 3)} to {Number.Fixed(line.Value.High, 3)}</title></circle></g>"));
        }
        return svg.ToString();
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
