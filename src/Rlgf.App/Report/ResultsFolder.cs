using System.Text;
using Rlgf.Base;

namespace Rlgf.App.Report;

/// <summary>What a comparison leaves: the report, the table in Markdown, its numbers in JSON and each chart as a picture, ready to be put among a project's documents.</summary>
internal static class ResultsFolder
{
    /// <summary>The report's file.</summary>
    public const string ReportName = "report.html";

    /// <summary>The table's file.</summary>
    public const string TableName = "results.md";

    /// <summary>The pictures' folder.</summary>
    public const string PicturesName = "pictures";

    /// <summary>The file of the table's numbers.</summary>
    public const string NumbersName = "results.json";

    /// <summary>Writes all of it.</summary>
    /// <param name="folder">Where it goes.</param>
    /// <param name="data">What it is made of.</param>
    /// <param name="tableName">The table's file.</param>
    public static void Write(string folder, ReportData data, string tableName = TableName)
    {
        var groups = RunGroup.Of(data.Runs);
        var table = ResultsTable.Of(groups);
        var pictures = Curves.Intervals(table).Select(chart => ("results", chart.Title, Svg: chart.ToPicture()))
            .Concat(KeyCurves.Of(groups, data.VariedKeys).Select(chart => ("against", chart.Title, Svg: chart.ToPicture())))
            .Concat(Curves.Of(groups).SelectMany(set => set.Charts.Select(chart => (set.Key, chart.Title, Svg: chart.ToPicture())))).ToArray();

        var text = new StringBuilder($"# {data.Title}\n\n{ResultSentence.Of(table)}\n\n");
        if (data.Note is { } note) text.Append(note).Append("\n\n");
        text.Append(ResultsText.Markdown(table)).Append('\n').Append(ResultsText.Explanation(table)).Append("\nDifferences whose interval leaves out 0 are bold.\n\n");
        foreach (var column in ResultsColumn.For(table)) text.Append("- **").Append(column.Header).Append("**: ").Append(column.Meaning).Append('\n');
        foreach (var (key, title, svg) in pictures)
        {
            var file = $"{key}-{Slug(title)}.svg";
            AtomicFile.WriteText(Path.Combine(folder, PicturesName, file), svg);
            text.Append($"\n![{title}]({PicturesName}/{file})");
        }
        AtomicFile.WriteText(Path.Combine(folder, tableName), text.Append('\n').ToString());
        AtomicFile.WriteText(Path.Combine(folder, NumbersName), ResultsNumbers.Of(data, groups, table).ToJson());
        HtmlReport.Write(Path.Combine(folder, ReportName), data);
    }

    private static string Slug(string title) =>
        string.Join('-', new string([.. title.ToLowerInvariant().Where(c => c != '\'').Select(c => char.IsAsciiLetterOrDigit(c) ? c : ' ')]).Split(' ', StringSplitOptions.RemoveEmptyEntries));
}
