namespace Rlgf.App.Report;

/// <summary>A table of a report.</summary>
/// <param name="Title">Its heading.</param>
/// <param name="Explanation">What is in it.</param>
/// <param name="First">What its first column names.</param>
/// <param name="Columns">The others: heading, and what it means.</param>
/// <param name="Rows">Its rows.</param>
internal sealed record ReportTable(string Title, string Explanation, string First, IReadOnlyList<(string Header, string Meaning)> Columns, IReadOnlyList<ReportTableRow> Rows)
{
    /// <summary>Whether it is long, and shown when it is asked for.</summary>
    public bool IsFolded { get; init; }
}

/// <summary>A row of a table.</summary>
/// <param name="Name">What it is of.</param>
/// <param name="Colour">Of the group of runs that it is of; below 0 for none.</param>
/// <param name="Cells">A text for each column.</param>
/// <param name="IsTotal">Whether it is the sum of those above.</param>
internal sealed record ReportTableRow(string Name, int Colour, IReadOnlyList<string> Cells, bool IsTotal = false);
