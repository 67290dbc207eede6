using Rlgf.Base;

namespace Rlgf.Text.Data;

/// <summary>How a data set is read.</summary>
public sealed record TextDatasetOptions
{
    /// <summary>The format, where the file's name doesn't say it.</summary>
    public DataFormat? Format { get; init; }

    /// <summary>Reads the rows that a path stands for, where they are in no file of a known format; null for files.</summary>
    public Func<string, IEnumerable<DataRow>>? Reader { get; init; }

    /// <summary>Replacements in every text of a row, in this order; filters see the result.</summary>
    public IReadOnlyList<TextReplacement> Replacements { get; init; } = [];

    /// <summary>Which rows to keep, such as <c>label == 1 &amp;&amp; length(text) > 20</c> (see <see cref="RowFilter"/>); null keeps all.</summary>
    public string? Filter { get; init; }

    /// <summary>The most rows to keep, the file's first that pass the filter; null keeps all.</summary>
    public int? Limit { get; init; }

    /// <summary>
    /// The number of rows to keep of all that pass the filter, drawn at random and kept in the file's order; null keeps all. The first rows of a file that is sorted stand for nothing, these do.
    /// </summary>
    public int? Sample { get; init; }

    /// <summary>Decides which rows <see cref="Sample"/> draws; the same seed draws the same rows of the same file.</summary>
    public ulong SampleSeed { get; init; }

    /// <summary>Columns that every row must have: a name that isn't there is found at once rather than in the middle of a run.</summary>
    public IReadOnlyList<string> Columns { get; init; } = [];

    /// <summary>What separates the elements of a list within a field of a csv or tsv file.</summary>
    public char ListSeparator { get; init; } = '#';
}

/// <summary>The rows of a file, in memory and in the file's order.</summary>
public sealed class TextDataset
{
    // "sample": keeps these draws apart from others of the same seed.
    private const ulong SampleDraws = 0x73616D706C65;

    /// <summary>A data set of rows that are there already.</summary>
    /// <param name="name">What to call it in messages.</param>
    /// <param name="rows">The rows.</param>
    public TextDataset(string name, IReadOnlyList<DataRow> rows)
    {
        Name = name;
        Rows = rows;
    }

    /// <summary>The file's path, as it was given.</summary>
    public string Name { get; }

    /// <summary>The rows.</summary>
    public IReadOnlyList<DataRow> Rows { get; }

    /// <summary>Number of rows.</summary>
    public int Count => Rows.Count;

    /// <summary>The row at an index from 0.</summary>
    public DataRow this[int index] => Rows[index];

    /// <summary>Reads a file of JSON lines, csv, tsv (each also compressed with gzip) or Parquet.</summary>
    /// <exception cref="InputException">The file can't be read, a row is malformed, a column is missing, or no row is left.</exception>
    public static TextDataset Open(string path, TextDatasetOptions? options = null)
    {
        options ??= new TextDatasetOptions();
        var filter = options.Filter is { } expression ? RowFilter.Parse(expression) : null;
        var rows = new List<DataRow>();
        var random = new RandomStream(options.SampleSeed, SampleDraws);
        var (read, passed) = (0, 0);
        foreach (var row in ReadRows(path, options))
        {
            if (rows.Count == options.Limit)
            {
                break;
            }

            read++;
            foreach (var column in options.Columns)
            {
                _ = row[column];
            }

            if (filter is not null && !Accepts(filter, row)) continue;
            passed++;
            if (options.Sample is not { } sample || rows.Count < sample) rows.Add(row);
            // Each row so far is among the drawn ones with the same probability (Vitter 1985, algorithm R).
            else if (random.NextInt32(passed) is var place && place < sample) rows[place] = row;
        }

        if (options.Sample is not null) rows.Sort((one, other) => one.Number.CompareTo(other.Number));
        return rows.Count > 0 ? new TextDataset(path, rows)
            : read > 0 && filter is not null ? throw new InputException($"{path}: none of {read} rows passes the filter '{options.Filter}'")
            : throw new InputException($"{path}: there are no rows");
    }

    /// <summary>Whether a row passes; what keeps it from being asked is the filter's fault.</summary>
    private static bool Accepts(RowFilter filter, DataRow row)
    {
        try
        {
            return filter.Accepts(row);
        }
        catch (InputException fault)
        {
            throw new InputException($"the filter '{filter}' can't be asked: {fault.Message}", fault);
        }
    }

    /// <summary>Reads rows one by one, as they are asked for, with replacements made, without filter or limit.</summary>
    /// <exception cref="InputException">The file can't be read or a row is malformed.</exception>
    public static IEnumerable<DataRow> ReadRows(string path, TextDatasetOptions? options = null)
    {
        options ??= new TextDatasetOptions();
        if (options.Reader is { } reader) return reader(path).Select(row => row.Replacing(options.Replacements));
        if (Directory.Exists(path))
        {
            TextInput.OpenFile(path).Dispose();
        }

        var rows = (options.Format ?? DataFormats.FromFileName(path)) switch
        {
            DataFormat.JsonLines => JsonLines.Read(path),
            DataFormat.Csv => DelimitedText.Read(path, ',', options.ListSeparator),
            DataFormat.Tsv => DelimitedText.Read(path, '\t', options.ListSeparator),
            DataFormat.Parquet => ParquetFile.Read(path),
            var other => throw new InputException($"{path}: there is no format {other}"),
        };
        return rows.Select(row => row.Replacing(options.Replacements));
    }

    /// <summary>
    /// Some of the rows, spread evenly over the file: the first rows of a file that is sorted (by label, say) stand for nothing.
    /// </summary>
    /// <param name="rows">The rows, or what was made of them.</param>
    /// <param name="count">How many; all where there are no more.</param>
    public static IReadOnlyList<T> Spread<T>(IReadOnlyList<T> rows, int count) =>
        count >= rows.Count ? rows : [.. SpreadIndices(rows.Count, count).Select(index => rows[index])];

    /// <summary>Indices of <paramref name="count"/> rows of <paramref name="total"/>, spread evenly.</summary>
    public static IEnumerable<int> SpreadIndices(int total, int count) => Enumerable.Range(0, count).Select(i => (int)((2L * i + 1) * total / (2L * count)));
}
