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

    /// <summary>Prints the table, aligned, without colours. It is as wide as it is: wider than the terminal is better than numbers cut in two.</summary>
    public static void Print(TextWriter output, ResultsTable table)
    {
        var columns = ResultsColumn.For(table).Where(column => column.IsNarrow).ToArray();
        var grid = new Table { Border = TableBorder.Simple };
        grid.AddColumn(new TableColumn("") { NoWrap = true, Padding = new Padding(0, 0, 2, 0) });
        foreach (var column in columns)
            grid.AddColumn(new TableColumn(new Spectre.Console.Text(column.Header)) { Alignment = Justify.Right, NoWrap = true, Padding = new Padding(0, 0, 2, 0) });
        foreach (var row in table.Rows)
            grid.AddRow([new Spectre.Console.Text(row.Name), .. columns.Select(column => new Spectre.Console.Text(column.Cell(row).Text))]);

        var text = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors, Interactive = InteractionSupport.No, Out = new AnsiConsoleOutput(text) });
        console.Profile.Width = 400;
        console.Write(grid);
        foreach (var line in text.ToString().Split('\n').Select(line => line.TrimEnd()).Where(line => line.Length > 0)) output.WriteLine(line);
    }

    /// <summary>Prints prompts with what each model wrote, one line each: line breaks of a text show as ↵.</summary>
    public static void PrintAnswers(TextWriter output, IReadOnlyList<Answers> drawn)
    {
        foreach (var answers in drawn)
        {
            output.WriteLine($"\n> {OneLine(answers.Prompt)}");
            var width = answers.Of.Max(answer => answer.Writer.Length);
            foreach (var (writer, _, row) in answers.Of) output.WriteLine($"  {writer.PadRight(width)}  {Number.Fixed(row.Reward, 3)}  {OneLine(row.Response)}");
        }
        output.WriteLine();
    }

    private static string OneLine(string text) => string.Concat(text.Trim().Select(c => c == '\n' ? '↵' : char.IsControl(c) ? ' ' : c));

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
