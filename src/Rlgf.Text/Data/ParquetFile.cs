using Parquet;
using Parquet.Data;
using Parquet.Meta;
using Parquet.Schema;
using Rlgf.Base;

namespace Rlgf.Text.Data;

/// <summary>Reads Parquet files: columns of plain values, lists of them one level deep, objects of them, and lists of such objects.</summary>
internal static class ParquetFile
{
    public static IEnumerable<DataRow> Read(string path)
    {
        using var file = TextInput.OpenFile(path);
        var reader = Attempt(path, () => ParquetReader.CreateAsync(file).GetAwaiter().GetResult());
        var fields = reader.Schema.Fields;
        var shape = new RowShape(path, [.. fields.Select(field => field.Name)]);
        var number = 0;
        for (var group = 0; group < reader.RowGroupCount; group++)
        {
            using var rows = reader.OpenRowGroupReader(group);
            var count = checked((int)rows.RowCount);
            var columns = fields.Select(field => Attempt(path, () => ReadColumn(file, rows, field, count))).ToArray();
            for (var row = 0; row < count; row++)
            {
                yield return new DataRow(shape, Array.ConvertAll(columns, column => column[row]), ++number, null);
            }
        }
    }

    private static T Attempt<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is not InputException and not OutOfMemoryException)
        {
            // The library reports damage by whatever exception its decoders run into.
            throw new InputException($"{path}: not a Parquet file, or damaged: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    private static object?[] ReadColumn(FileStream file, ParquetRowGroupReader rows, Field field, int count)
    {
        return field switch
        {
            DataField data => ReadLeaf(file, rows, data, data.MaxRepetitionLevel == 0 ? 0 : data.MaxDefinitionLevel, count),
            ListField { Item: DataField item } list => ReadLeaf(file, rows, item, list.MaxDefinitionLevel, count),
            ListField { Item: StructField item } list => ReadObjects(file, rows, item, list.MaxDefinitionLevel, count),
            StructField item => ReadObjects(file, rows, item, 0, count),
            _ => Fill(count, $"a {field.SchemaType.ToString().ToLowerInvariant()}"),
        };
    }

    /// <summary>Objects, or lists of them: each name is a column of its own, as long as the others.</summary>
    /// <param name="file">The file.</param>
    /// <param name="rows">The row group.</param>
    /// <param name="item">The object's fields.</param>
    /// <param name="listLevel">For lists: the definition level from which on a list has an element; 0 for objects alone.</param>
    /// <param name="count">Number of rows.</param>
    private static object?[] ReadObjects(FileStream file, ParquetRowGroupReader rows, StructField item, int listLevel, int count)
    {
        // What lies deeper has values of its own number; asking for it is an error, the rest can be read.
        var leaves = item.Fields.ToDictionary(field => field.Name, field => field is DataField data && data.MaxRepetitionLevel == (listLevel > 0 ? 1 : 0) ? ReadLeaf(file, rows, data, listLevel, count) : null);
        var known = leaves.Values.FirstOrDefault(values => values is not null);
        if (known is null) return Fill(count, "objects of nothing but lists and objects");
        object? Value(string name, int row, int? at) => leaves[name]?[row] switch
        {
            null when leaves[name] is null => new Unread("values deeper than objects in lists"),
            IReadOnlyList<object?> list when at is { } index => list[index],
            var value => value,
        };
        Dictionary<string, object?> Object(int row, int? at) => item.Fields.ToDictionary(field => field.Name, field => Value(field.Name, row, at));
        return [.. Enumerable.Range(0, count).Select(row => listLevel == 0 ? (object?)Object(row, null)
            : known[row] is IReadOnlyList<object?> list ? Enumerable.Range(0, list.Count).Select(at => (object?)Object(row, at)).ToArray() : known[row])];
    }

    /// <summary>The values of one column: for lists a list each row, which may be null.</summary>
    private static object?[] ReadLeaf(FileStream file, ParquetRowGroupReader rows, DataField leaf, int listLevel, int count)
    {
        var type = leaf.ClrType;
        var column = new Column(file, rows, leaf, listLevel, count);
        return type == typeof(ReadOnlyMemory<char>) ? column.Read<ReadOnlyMemory<char>>(text => text.ToString())
            : type == typeof(bool) ? column.Read<bool>(value => value)
            : type == typeof(long) ? column.Read<long>(value => value)
            : type == typeof(int) ? column.Read<int>(value => (long)value)
            : type == typeof(short) ? column.Read<short>(value => (long)value)
            : type == typeof(sbyte) ? column.Read<sbyte>(value => (long)value)
            : type == typeof(byte) ? column.Read<byte>(value => (long)value)
            : type == typeof(ushort) ? column.Read<ushort>(value => (long)value)
            : type == typeof(uint) ? column.Read<uint>(value => (long)value)
            : type == typeof(double) ? column.Read<double>(value => value)
            : type == typeof(float) ? column.Read<float>(value => (double)value)
            : Fill(count, $"values of type {type.Name}");
    }

    private static object?[] Fill(int count, string what)
    {
        var column = new object?[count];
        Array.Fill(column, new Unread(what));
        return column;
    }

    /// <summary>A column of one row group.</summary>
    /// <param name="File">The file.</param>
    /// <param name="Rows">The row group.</param>
    /// <param name="Leaf">The column's values.</param>
    /// <param name="ListLevel">For lists: the definition level from which on a list has an element; one below is an empty list, lower a null list.</param>
    /// <param name="Count">Number of rows.</param>
    private sealed record Column(FileStream File, ParquetRowGroupReader Rows, DataField Leaf, int ListLevel, int Count)
    {
        public object?[] Read<T>(Func<T, object> convert)
            where T : struct
        {
            // Version 2 pages store booleans by run length, which the library reads wrongly (6.1): a column without plain values is one of those.
            var chunk = Rows.GetMetadata(Leaf)?.MetaData ?? throw new InvalidDataException($"the footer doesn't describe the column {Leaf.Path}");
            if (typeof(T) == typeof(bool) && !chunk.Encodings.Contains(Encoding.PLAIN))
            {
                return ReadVersion2(chunk);
            }

            RawColumnData raw;
            try
            {
                raw = Rows.ReadRawColumnDataBaseAsync(Leaf, CancellationToken.None).AsTask().GetAwaiter().GetResult();
            }
            catch (NotImplementedException) when (Leaf.MaxRepetitionLevel > 0)
            {
                return ReadVersion2(chunk);
            }

            using var column = (RawColumnData<T>)raw;
            ReadOnlySpan<int> definition = Leaf.MaxDefinitionLevel > 0 ? column.DefinitionLevels : [];
            return Leaf.MaxRepetitionLevel == 0 ? Plain(column.Values, definition, convert) : Lists(column.Values, definition, column.RepetitionLevels, convert);
        }

        private object?[] ReadVersion2(ColumnMetaData chunk)
        {
            var (values, definition, repetition) = ParquetVersion2Pages.Read(File, chunk, Leaf);
            return Leaf.MaxRepetitionLevel == 0 ? Plain<object>(values, definition, value => value) : Lists<object>(values, definition, repetition, value => value);
        }

        /// <summary>A value is stored only where its definition level is the highest.</summary>
        private object?[] Plain<T>(ReadOnlySpan<T> values, ReadOnlySpan<int> definition, Func<T, object> convert)
        {
            var column = new object?[Count];
            for (int row = 0, stored = 0; row < Count; row++)
            {
                column[row] = Leaf.MaxDefinitionLevel == 0 || definition[row] == Leaf.MaxDefinitionLevel ? convert(values[stored++]) : null;
            }

            return column;
        }

        /// <summary>Repetition level 0 begins a row.</summary>
        private object?[] Lists<T>(ReadOnlySpan<T> values, ReadOnlySpan<int> definition, ReadOnlySpan<int> repetition, Func<T, object> convert)
        {
            var column = new object?[Count];
            var list = new List<object?>();
            int stored = 0, row = 0;
            for (var at = 0; at < definition.Length;)
            {
                list.Clear();
                var isNull = definition[at] < ListLevel - 1;
                do
                {
                    if (definition[at] >= ListLevel)
                    {
                        list.Add(definition[at] == Leaf.MaxDefinitionLevel ? convert(values[stored++]) : null);
                    }
                }
                while (++at < definition.Length && repetition[at] > 0);

                column[row++] = isNull ? null : list.ToArray();
            }

            return row == Count ? column : throw new InvalidDataException($"a list column has {row} rows where the row group has {Count}");
        }
    }
}
