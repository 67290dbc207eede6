using System.Text;

namespace Rlgf.App.Report;

/// <summary>The table of results as plain text and as Markdown.</summary>
internal static class ResultsText
{
    /// <summary>What the intervals are of and what they leave out.</summary>
    public static string Explanation(ResultsTable table)
    {
        var seeds = table.Algorithms.Count > 0 ? table.Algorithms.Max(row => row.Seeds) : 1;
        var means = seeds > 1 ? $"Each prompt's value is its mean over the seeds (up to {seeds}). " : "";
        return means + $"Intervals are 95 % over the {table.Prompts} held-out prompts (Student's t; differences paired prompt by prompt): they say what other prompts could have given " +
            (seeds > 1 ? "with these trained models; how far training runs lie apart is the column \"over seeds\"." : "with these trained models, not what other seeds could have.") + Repeats(table);
    }

    /// <summary>Why some rows have the same numbers: algorithms that differ in a coin or a switch do the same where it falls the same way throughout.</summary>
    private static string Repeats(ResultsTable table)
    {
        var same = table.Algorithms.GroupBy(row => string.Join(' ', row.Rewards) + row.Length).Where(rows => rows.Count() > 1).Select(rows => string.Join(" and ", rows.Select(row => row.Name))).ToArray();
        return same.Length == 0 ? "" : $" {string.Join("; ", same)} have the same numbers because they did the same in every iteration: a coin or a switch between phases never fell the other way in so few.";
    }

    /// <summary>
    /// Prints the table, aligned, without colours, and what it says in words. Columns that don't fit beside the others go below them, under the same names, so that no line wraps and no number is cut in two.
    /// </summary>
    /// <param name="output">Where it goes.</param>
    /// <param name="table">The table.</param>
    /// <param name="width">The most columns of a line.</param>
    public static void Print(TextWriter output, ResultsTable table, int width)
    {
        var names = table.Rows.Select(row => Shortened(row.Name, Math.Max(MostOfName, width / 3))).ToArray();
        var widest = names.Max(name => name.Length);
        var block = new List<(string Header, string[] Cells)>();
        var used = widest;
        foreach (var column in ResultsColumn.For(table).Where(column => column.IsNarrow))
        {
            string[] cells = [.. table.Rows.Select(row => column.Cell(row).Text)];
            var needed = Gap + Math.Max(column.Header.Length, cells.Max(cell => cell.Length));
            if (block.Count > 0 && used + needed > width) Flush();
            block.Add((column.Header, cells));
            used += needed;
        }

        Flush();
        foreach (var text in new[] { ResultSentence.Of(table), Explanation(table) }) output.WriteLine(Wrapped(text, width));

        void Flush()
        {
            PrintBlock(output, names, block);
            output.WriteLine();
            block.Clear();
            used = widest;
        }
    }

    private const int Gap = 2;

    /// <summary>A name is cut to a third of the line, but not below this.</summary>
    private const int MostOfName = 24;

    private static void PrintBlock(TextWriter output, string[] names, IReadOnlyList<(string Header, string[] Cells)> columns)
    {
        var widest = names.Max(name => name.Length);
        for (var row = -1; row < names.Length; row++)
        {
            var cells = columns.Select(column => (row < 0 ? column.Header : column.Cells[row]).PadLeft(Gap + Math.Max(column.Header.Length, column.Cells.Max(cell => cell.Length))));
            output.WriteLine((row < 0 ? "" : names[row]).PadRight(widest) + string.Concat(cells));
        }
    }

    /// <summary>Breaks a text at blanks so that its lines fit.</summary>
    private static string Wrapped(string text, int width)
    {
        var lines = new StringBuilder();
        var length = 0;
        foreach (var word in text.Split(' '))
        {
            if (length > 0) lines.Append(length + 1 + word.Length > width ? '\n' : ' ');
            length = length == 0 || length + 1 + word.Length > width ? word.Length : length + 1 + word.Length;
            lines.Append(word);
        }

        return lines.ToString();
    }

    /// <summary>A name without its middle, where it is long: settings of one algorithm differ at the end.</summary>
    /// <param name="text">The name.</param>
    /// <param name="most">The most characters; at least 4.</param>
    internal static string Shortened(string text, int most)
    {
        if (text.Length <= most) return text;
        // Not between the halves of a surrogate pair.
        var (head, tail) = (most / 3, text.Length - (most - 1 - most / 3));
        if (char.IsHighSurrogate(text[head - 1])) head--;
        if (char.IsLowSurrogate(text[tail])) tail++;
        return $"{text[..head]}…{text[tail..]}";
    }

    /// <summary>Prints prompts with what each model wrote, one line each: line breaks of a text show as ↵.</summary>
    public static void PrintAnswers(TextWriter output, IReadOnlyList<Answers> drawn)
    {
        foreach (var answers in drawn)
        {
            output.WriteLine();
            foreach (var line in PromptView.Lines(answers.Prompt, answers.Messages)) output.WriteLine($"> {OneLine(line)}");
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
