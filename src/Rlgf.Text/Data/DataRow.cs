using System.Globalization;
using Rlgf.Base;

namespace Rlgf.Text.Data;

/// <summary>
/// One row of a data set: named values that are a string, long, double, bool, null, a list of these (<see cref="IReadOnlyList{T}"/> of object) or an object with named values of these
/// (<see cref="IReadOnlyDictionary{TKey, TValue}"/> of string and object, in the file's order).
/// The getters convert nothing but what the format can't express: fields of csv and tsv files are text, read as what is asked for.
/// </summary>
/// <remarks>Immutable. Every getter throws an <see cref="InputException"/> that names the file, the row and the column.</remarks>
public sealed class DataRow
{
    private readonly RowShape _shape;
    private readonly object?[] _values;
    private readonly int? _line;

    internal DataRow(RowShape shape, object?[] values, int number, int? line)
    {
        _shape = shape;
        _values = values;
        _line = line;
        Number = number;
    }

    /// <summary>The row's number in its file, from 1, rows that a filter left out included.</summary>
    public int Number { get; }

    /// <summary>The names of the row's columns, in the file's order.</summary>
    public IReadOnlyList<string> Columns => _shape.Columns;

    /// <summary>Where the row is, for messages: "train.jsonl:12" or "train.parquet, row 12".</summary>
    public string Location => _line is { } line
        ? line == Number ? $"{_shape.Source}:{line}" : $"{_shape.Source}:{line} (row {Number})"
        : $"{_shape.Source}, row {Number}";

    /// <summary>Which row of which file it is, wherever the file lies: "train.jsonl:12".</summary>
    public string Id => string.Create(CultureInfo.InvariantCulture, $"{Path.GetFileName(_shape.Source)}:{Number}");

    /// <summary>Whether the values are the fields of a text table, so that "1" may stand for a number.</summary>
    internal bool IsText => _shape.ListSeparator is not null;

    /// <summary>The value as it was read.</summary>
    /// <exception cref="InputException">There is no such column, or it holds what isn't read (such as NaN).</exception>
    public object? this[string column]
    {
        get
        {
            if (!_shape.Index.TryGetValue(column, out var at))
            {
                throw new InputException($"{Location}: no column '{column}'{Spelling.Suggestion(column, _shape.Columns)}");
            }

            return _values[at] is Unread unread ? throw Invalid(column, $"holds {unread.What}, which isn't read") : _values[at];
        }
    }

    /// <summary>A row of values in memory, for data that comes from no file.</summary>
    /// <param name="source">What to call its origin in messages.</param>
    /// <param name="number">The row's number, from 1.</param>
    /// <param name="values">Names and values; int and float are kept as long and double.</param>
    public static DataRow Create(string source, int number, params (string Column, object? Value)[] values) => new(
        new RowShape(source, [.. values.Select(value => value.Column)]), [.. values.Select(value => Widen(value.Value))], number, null);

    /// <summary>Whether the row has a column of that name.</summary>
    public bool Has(string column) => _shape.Index.ContainsKey(column);

    /// <summary>A text.</summary>
    public string GetString(string column) => this[column] as string ?? throw Expected(column, "text");

    /// <summary>A whole number; 1.0 counts as one.</summary>
    public long GetInt64(string column) => this[column] switch
    {
        long number => number,
        double number when number == Math.Truncate(number) && Math.Abs(number) <= 1L << 53 => (long)number,
        string text when IsText && long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) => number,
        _ => throw Expected(column, "a whole number"),
    };

    /// <summary>A number.</summary>
    public double GetDouble(string column) => this[column] switch
    {
        double number => number,
        long number => number,
        string text when IsText && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) => number,
        _ => throw Expected(column, "a number"),
    };

    /// <summary>True or false; in csv and tsv spelt so, in any case.</summary>
    public bool GetBoolean(string column) => this[column] switch
    {
        bool flag => flag,
        string text when IsText && bool.TryParse(text, out var flag) => flag,
        _ => throw Expected(column, "true or false"),
    };

    /// <summary>A list of texts; in csv and tsv one field with a separator (see <see cref="TextDatasetOptions.ListSeparator"/>), of which the empty field is the empty list.</summary>
    public IReadOnlyList<string> GetStrings(string column)
    {
        var value = this[column];
        if (value is string text && _shape.ListSeparator is { } separator)
        {
            return text.Length == 0 ? [] : text.Split(separator);
        }

        var list = value as IReadOnlyList<object?> ?? throw Expected(column, "a list of texts");
        var strings = new string[list.Count];
        for (var i = 0; i < strings.Length; i++)
        {
            strings[i] = list[i] as string ?? throw Invalid(column, $"element {i + 1}: expected text, found {Describe(list[i])}");
        }

        return strings;
    }

    /// <summary>A list of whole numbers, such as token ids.</summary>
    public int[] GetInt32s(string column)
    {
        var list = this[column] as IReadOnlyList<object?> ?? throw Expected(column, "a list of whole numbers");
        var numbers = new int[list.Count];
        for (var i = 0; i < numbers.Length; i++)
        {
            numbers[i] = list[i] is long number && number is >= int.MinValue and <= int.MaxValue
                ? (int)number
                : throw Invalid(column, $"element {i + 1}: expected a whole number of 32 bits, found {Describe(list[i])}");
        }

        return numbers;
    }

    /// <summary>An exception that says what is wrong with a value and where the value is; for the caller to throw.</summary>
    public InputException Invalid(string column, string problem) => new($"{Location}: column '{column}': {problem}");

    /// <summary>An exception that says what a value must be, what it is and where it is; for the caller to throw.</summary>
    /// <param name="column">The column.</param>
    /// <param name="what">What it must be, such as "a number".</param>
    public InputException Expected(string column, string what) => Invalid(column, $"expected {what}, found {Describe(this[column])}");

    /// <summary>The row with replacements made in each of its texts, those in lists and objects too, one replacement after the other.</summary>
    internal DataRow Replacing(IReadOnlyList<TextReplacement> replacements)
    {
        object? Clean(object? value) => value switch
        {
            string text => replacements.Aggregate(text, (cleaned, replacement) => replacement.Apply(cleaned)),
            IReadOnlyList<object?> list => list.Select(Clean).ToArray(),
            IReadOnlyDictionary<string, object?> named => named.ToDictionary(entry => entry.Key, entry => Clean(entry.Value)),
            _ => value,
        };
        return replacements.Count == 0 ? this : new DataRow(_shape, Array.ConvertAll(_values, Clean), Number, _line);
    }

    internal static string Describe(object? value) => value switch
    {
        null => "null",
        string text => $"the text \"{Shorten(text)}\"",
        bool flag => flag ? "true" : "false",
        IReadOnlyList<object?> => "a list",
        IReadOnlyDictionary<string, object?> => "an object",
        Unread unread => unread.What,
        _ => $"the number {Convert.ToString(value, CultureInfo.InvariantCulture)}",
    };

    private static string Shorten(string text) =>
        (text.Length > 40 ? text[..40] + "…" : text).Replace("\r", "\\r", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);

    private static object? Widen(object? value) => value switch
    {
        int number => (long)number,
        float number => (double)number,
        IEnumerable<string> list => list.ToArray<object?>(),
        IEnumerable<int> list => list.Select(number => (object?)(long)number).ToArray(),
        null or string or long or double or bool or IReadOnlyList<object?> or IReadOnlyDictionary<string, object?> => value,
        _ => throw new ArgumentException($"a row can't hold a {value.GetType().Name}", nameof(value)),
    };

}

/// <summary>What the rows of a file have in common.</summary>
/// <param name="Source">The file's name for messages.</param>
/// <param name="Columns">The columns' names.</param>
/// <param name="ListSeparator">For text tables: what separates the elements of a list within a field.</param>
internal sealed record RowShape(string Source, string[] Columns, char? ListSeparator = null)
{
    public Dictionary<string, int> Index { get; } = Columns.Select((name, at) => (name, at)).ToDictionary(column => column.name, column => column.at);
}

/// <summary>Stands for a value of a kind that isn't read, so that only asking for it is an error.</summary>
internal sealed record Unread(string What);
