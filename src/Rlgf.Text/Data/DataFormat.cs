using Rlgf.Base;

namespace Rlgf.Text.Data;

/// <summary>The formats that data sets are read from. Text formats may be compressed with gzip, which the file's first bytes tell.</summary>
public enum DataFormat
{
    /// <summary>One JSON object a line (.jsonl, .ndjson, .jsonl.gz).</summary>
    JsonLines,

    /// <summary>Comma-separated values with a header line, quoted as RFC 4180 says (.csv, .csv.gz).</summary>
    Csv,

    /// <summary>Tab-separated values with a header line, quoted as RFC 4180 says (.tsv, .tsv.gz).</summary>
    Tsv,

    /// <summary>Apache Parquet with columns of plain values and of lists (.parquet).</summary>
    Parquet,
}

/// <summary>Finds a data set's format from its name.</summary>
public static class DataFormats
{
    /// <summary>The format that a file's name stands for.</summary>
    /// <exception cref="InputException">The name stands for none, or for one that isn't read.</exception>
    public static DataFormat FromFileName(string path)
    {
        var name = Path.GetFileName(path);
        var plain = name.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? name[..^3] : name;
        return Path.GetExtension(plain).ToLowerInvariant() switch
        {
            ".jsonl" or ".ndjson" => DataFormat.JsonLines,
            ".csv" => DataFormat.Csv,
            ".tsv" => DataFormat.Tsv,
            ".parquet" => DataFormat.Parquet,
            ".arrow" or ".feather" => throw new InputException($"{path}: Arrow files aren't read; save the rows as Parquet or JSON lines"),
            _ => throw new InputException($"{path}: {(Path.Exists(path) ? "the name doesn't say the format: it should end in .jsonl, .csv, .tsv (also .gz) or .parquet" : "there is no such file")}"),
        };
    }
}
