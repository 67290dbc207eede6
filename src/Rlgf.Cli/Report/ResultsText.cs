using System.Text;
using Spectre.Console;

namespace Rlgf.Cli.Report;

/// <summary>The table of results as plain text and as Markdown.</summary>
internal static class ResultsText
{
    /// <summary>What the intervals are of and what they leave out.</summary>
    public static string Explanation(ResultsTable table)
    {
        var seeds = table.Algorithms.Count > 0 ? table.Algorithms.Max(row => row.Seeds) : 1;
        var means = seeds > 1 ? $"Each prompt's value is its mean over the seeds (up to {seeds}). " : "";
        return means + $"Intervals are 95 % over the {table.Prompts} held-out prompts (Student's t; differences paired prompt by prompt): they say what other prompts could have given " +
            (seeds > 1 ? "with these trained models; how far training runs lie apart is the column \"over seeds\"." : "with these trained models, not what other seeds could have.");
    }

    /// <summary>Prints the table, aligned, without colours.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="table">What.</param>
    /// <param name="width">Columns of the output.</param>
    public static void Print(TextWriter output, ResultsTable table, int width)
    {
        var columns = ResultsColumn.For(table).Where(column => column.IsNarrow).ToArray();
        var grid = new Table { Border = TableBorder.Simple, UseSafeBorder = true };
        grid.AddColumn(new TableColumn("") { NoWrap = true });
        foreach (var column in columns) grid.AddColumn(new TableColumn(new Spectre.Console.Text(column.Header)) { Alignment = Justify.Right, NoWrap = true });
        foreach (var row in table.Rows)
            grid.AddRow([new Spectre.Console.Text(row.Name), .. columns.Select(column => new Spectre.Console.Text(column.Cell(row).Text))]);
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors, Interactive = InteractionSupport.No, Out = new AnsiConsoleOutput(output) });
        // Wider than the terminal is better than numbers cut in two.
        console.Profile.Width = Math.Max(width, 200);
        console.Write(grid);
    }

    /// <summary>The table in Markdown; a difference whose interval leaves out 0 is bold.</summary>
    public static string Markdown(ResultsTable table)
    {
        var columns = ResultsColumn.For(table);
        var text = new StringBuilder("| |").AppendJoin('|', columns.Select(column => $" {column.Header} ")).Append("|\n|---|").AppendJoin('|', columns.Select(_ => "---:")).Append("|\n");
        foreach (var row in table.Rows)
        {
            text.Append("| ").Append(row.Name.Replace("|", "\\|", StringComparison.Ordinal)).Append(" |");
            foreach (var cell in columns.Select(column => column.Cell(row))) text.Append(cell.IsClear ? $" **{cell.Text}** |" : $" {cell.Text} |");
            text.Append('\n');
        }
        return text.ToString();
    }
}
