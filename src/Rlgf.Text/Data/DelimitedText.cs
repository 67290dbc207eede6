using CsvHelper;
using Rlgf.Base;

namespace Rlgf.Text.Data;

/// <summary>Reads csv and tsv files: a header line, fields quoted as RFC 4180 says (in tsv too), blanks kept. What breaks the rules is an error, never mended.</summary>
internal static class DelimitedText
{
    public static IEnumerable<DataRow> Read(string path, char separator, char listSeparator)
    {
        using var reader = CsvReader.Create(TextInput.OpenText(path), new CsvReaderOptions
        {
            Separator = separator,
            DetectSeparatorHint = false,
            MalformedData = CsvMalformedDataHandling.Throw,
            TrackLineNumbers = true,
        });

        Attempt(path, 1, () =>
        {
            reader.ReadHeader();
            return true;
        });
        var header = reader.Headers.ToArray();
        if (header.Length == 0)
        {
            throw new InputException($"{path}: the file is empty; the first line must name the columns");
        }

        if (header.GroupBy(name => name).FirstOrDefault(names => names.Count() > 1) is { } twice)
        {
            throw new InputException($"{path}:1: two columns are named '{twice.Key}'");
        }

        var shape = new RowShape(path, header, listSeparator);
        var number = 0;
        var line = 1;
        while (Attempt(path, line, reader.Read))
        {
            number++;
            line = (int)reader.LineNumber;
            if (reader.FieldCount != header.Length)
            {
                throw new InputException($"{path}:{line} (row {number}): {reader.FieldCount} fields where the header has {header.Length}");
            }

            var fields = new object?[header.Length];
            for (var i = 0; i < fields.Length; i++)
            {
                fields[i] = reader.GetString(i);
            }

            yield return new DataRow(shape, fields, number, line);
        }
    }

    /// <summary>Runs a step of the reader.</summary>
    /// <param name="path">The file's name for messages.</param>
    /// <param name="lastLine">The line where the last record began, for errors that don't say their own.</param>
    /// <param name="step">The step.</param>
    private static bool Attempt(string path, int lastLine, Func<bool> step)
    {
        try
        {
            return step();
        }
        catch (CsvFormatException e)
        {
            throw new InputException($"{path}:{e.LineNumber}: the line is not well formed: a quote is not closed, or something stands beside one", e);
        }
        catch (Exception e) when (TextInput.Explain(e, $"{path}, after line {lastLine}") is { } explained)
        {
            throw explained;
        }
    }
}
