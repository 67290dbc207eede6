using System.Globalization;
using System.Text;

namespace Rlgf.App.Report;

/// <summary>A chart as a file of its own, with title, legend and its own style sheet for light and dark surroundings.</summary>
internal static class SvgPicture
{
    private const double Head = 34, LegendRow = 20, LeastLegendColumn = 105, Letter = 6.5, Sample = 30, Margin = 16;

    /// <summary>Size of the heading in the style sheet, and the width of its letters in the widest usual font.</summary>
    private const double HeadSize = 15, HeadLetter = 9.1;

    /// <summary>The whole file.</summary>
    /// <param name="title">Its heading.</param>
    /// <param name="width">Width of the body.</param>
    /// <param name="height">Height of the body.</param>
    /// <param name="body">Elements of the chart.</param>
    /// <param name="colours">Number of colours in use.</param>
    /// <param name="legend">Names by colour; empty where the chart itself has them.</param>
    public static string Of(string title, double width, double height, string body, int colours, IReadOnlyList<(string Name, int Colour)> legend)
    {
        var column = Math.Max(LeastLegendColumn, Sample + Letter * legend.Select(one => one.Name.Length).DefaultIfEmpty(0).Max());
        var columns = Math.Max(1, (int)((width - 2 * Margin) / column));
        var whole = Head + height + (legend.Count + columns - 1) / columns * LegendRow + 8;
        var svg = new StringBuilder();
        svg.Append(Invariant($"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {whole}\" width=\"{width * 2}\" height=\"{whole * 2}\" role=\"img\" aria-label=\"{HtmlText.Escape(title)}\">\n"));
        svg.Append("<style>\n").Append(Styles.Colours.Replace(":root", "svg", StringComparison.Ordinal)).Append(Styles.Chart).Append(Styles.SeriesColours(colours)).Append("</style>\n");
        svg.Append("<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"var(--card)\"/>\n");
        // A title with a key of a recipe in it can be longer than a chart is wide.
        var room = (width - 2 * Margin) / (HeadLetter * title.Length);
        var smaller = room < 1 ? Invariant($" style=\"font-size:{HeadSize * room:0.#}px\"") : "";
        svg.Append(Invariant($"<text class=\"head\"{smaller} x=\"{Margin}\" y=\"23\">{HtmlText.Escape(title)}</text>\n<g transform=\"translate(0,{Head})\">{body}</g>\n"));
        for (var i = 0; i < legend.Count; i++)
        {
            var (x, y) = (Margin + i % columns * column, Head + height + i / columns * LegendRow + 10);
            svg.Append(Invariant($"<g class=\"series s{legend[i].Colour}\"><path class=\"line\" d=\"M{x} {y}h18\"/><text x=\"{x + 24}\" y=\"{y + 4}\">{HtmlText.Escape(legend[i].Name)}</text></g>\n"));
        }
        return svg.Append("</svg>\n").ToString();
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
