using Rlgf.Base;
using Rlgf.Text.Data;

namespace Rlgf.Recipes;

/// <summary>Who reads rows of data.</summary>
public abstract record DataReaderSection;

/// <summary>A file of JSON lines, csv, tsv (each also .gz) or Parquet.</summary>
public sealed record FileReaderSection : DataReaderSection, ICheckedSection
{
    /// <summary>The format, where the file's name doesn't say it.</summary>
    public DataFormat? Format { get; init; }

    /// <summary>What separates the items of a list within a field of csv or tsv: one character.</summary>
    public string ListSeparator { get; init; } = "#";

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (ListSeparator.Length != 1) yield return ("list_separator", $"'{ListSeparator}' is not one character");
    }
}

/// <summary>What a reader is asked for.</summary>
/// <param name="Path">The data section's path: a file's where there is one, else whatever the reader makes of it.</param>
/// <param name="IsHeldOut">Whether these are the held-out rows rather than those to train on.</param>
public sealed record DataSource(string Path, bool IsHeldOut);
