using Rlgf.Base;
using Rlgf.Text.Data;

namespace Rlgf.App.Terminals;

/// <summary>Rows from a file (jsonl, csv, tsv or parquet, by its name) or, for "-", JSON lines from standard input.</summary>
internal static class RowInput
{
    /// <summary>The rows one by one.</summary>
    /// <exception cref="InputException">The input can't be read, or a row is malformed.</exception>
    public static IEnumerable<DataRow> Read(string path, Terminal terminal) =>
        path == "-" ? JsonLines.Read(terminal.In, "standard input") : TextDataset.ReadRows(path);

    /// <summary>All rows, at least one.</summary>
    /// <exception cref="InputException">The input can't be read, a row is malformed, or there is none.</exception>
    public static IReadOnlyList<DataRow> ReadAll(string path, Terminal terminal)
    {
        var rows = Read(path, terminal).ToArray();
        return rows.Length > 0 ? rows : throw new InputException($"{(path == "-" ? "standard input" : path)}: there are no rows");
    }
}
