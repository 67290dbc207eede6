using System.Globalization;
using Rlgf.Base;

namespace Rlgf.Text.Data;

/// <summary>
/// A condition on rows: comparisons (<c>== != &lt; &lt;= &gt; &gt;=</c>) of columns, <c>length(column)</c>, <c>part(column, n)</c> and literals (numbers, 'text', "text", true,
/// false, null), joined by <c>&amp;&amp; || !</c> and parentheses; a column of true and false may stand alone. Example: <c>label != -1 &amp;&amp; length(text) &gt; 20</c>.
/// </summary>
/// <remarks>
/// Comparing different types is an error, except that anything may be compared with null by == and !=, and that fields of csv and tsv files, which are all text,
/// are read as numbers or truth values where the other side is one. <c>length</c> counts the UTF-16 units of a text and the elements of a list.
/// <c>part</c> says which of n parts, from 0, a text falls into: a data set split at random, the same way everywhere, such as <c>part(text, 2) == 0</c> for one half of it.
/// </remarks>
public sealed class RowFilter
{
    private const int MostCharacters = 10_000;

    /// <summary>Conditions are read and asked by calls inside each other; nobody writes so many parentheses.</summary>
    private const int MostDepth = 100;

    private readonly string _expression;
    private readonly Func<DataRow, bool> _condition;
    private int _at;
    private int _depth;

    private RowFilter(string expression)
    {
        if (expression.Length > MostCharacters) throw new InputException($"a filter of {expression.Length:#,0} characters; at most {MostCharacters:#,0} are read");
        _expression = expression;
        _condition = ParseOr();
        if (Peek() is { } rest)
        {
            throw Error($"expected && or || or the end, found '{rest}'");
        }
    }

    /// <summary>Reads an expression.</summary>
    /// <exception cref="InputException">It isn't one; names the column of the expression, from 1.</exception>
    public static RowFilter Parse(string expression) => new(expression);

    /// <summary>What is wrong with an expression, in one line; null where nothing is, or where there is none.</summary>
    public static string? Problem(string? expression)
    {
        try
        {
            _ = expression is null ? null : Parse(expression);
            return null;
        }
        catch (InputException e)
        {
            return e.Message;
        }
    }

    /// <summary>Whether a row meets the condition.</summary>
    /// <exception cref="InputException">The row lacks a column, or holds a type that the condition can't use.</exception>
    public bool Accepts(DataRow row) => _condition(row);

    /// <inheritdoc/>
    public override string ToString() => _expression;

    private Func<DataRow, bool> ParseOr()
    {
        var left = ParseAnd();
        while (Take("||"))
        {
            var (first, second) = (left, ParseAnd());
            left = row => first(row) || second(row);
        }

        return left;
    }

    private Func<DataRow, bool> ParseAnd()
    {
        var left = ParseNot();
        while (Take("&&"))
        {
            var (first, second) = (left, ParseNot());
            left = row => first(row) && second(row);
        }

        return left;
    }

    private Func<DataRow, bool> ParseNot()
    {
        if (++_depth > MostDepth) throw Error($"more than {MostDepth} parentheses and ! inside each other");
        var condition = ParseNegated();
        _depth--;
        return condition;
    }

    private Func<DataRow, bool> ParseNegated()
    {
        if (Peek() == '!' && Take("!"))
        {
            var inner = ParseNot();
            return row => !inner(row);
        }

        if (Take("("))
        {
            var inner = ParseOr();
            return Take(")") ? inner : throw Error("expected )");
        }

        return ParseComparison();
    }

    private Func<DataRow, bool> ParseComparison()
    {
        var left = ParseOperand();
        var start = _at;
        foreach (var symbol in (string[])["==", "!=", "<=", ">=", "<", ">"])
        {
            if (Take(symbol))
            {
                var right = ParseOperand();
                return row => Compare(row, left, symbol, right);
            }
        }

        _at = start;
        return Peek() == '=' ? throw Error("found '='; equality is ==")
            : left.Column is { } column && !left.IsComputed ? row => row.GetBoolean(column)
            : throw Error("expected a comparison: == != < <= > >=");
    }

    private Operand ParseOperand()
    {
        switch (Peek())
        {
            case null:
                throw Error("expected a column or a value, found the end");
            case '\'' or '"':
                var end = _expression.IndexOf(_expression[_at], _at + 1);
                if (end < 0)
                {
                    throw Error("this quote is never closed");
                }

                var text = _expression[(_at + 1)..end];
                _at = end + 1;
                return new Operand(text, null, false);
            case '-' or '.' or (>= '0' and <= '9'):
                return new Operand(ParseNumber(), null, false);
            case var letter when char.IsLetter(letter.Value) || letter == '_':
                return ParseWord();
            case var other:
                throw Error($"expected a column or a value, found '{other}'");
        }
    }

    private object ParseNumber()
    {
        var start = _at;
        do
        {
            _at++;
        }
        while (_at < _expression.Length
            && (char.IsAsciiLetterOrDigit(_expression[_at]) || _expression[_at] == '.' || (_expression[_at] is '-' or '+' && _expression[_at - 1] is 'e' or 'E')));

        var digits = _expression[start.._at];
        if (long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole))
        {
            return whole;
        }

        if (double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number))
        {
            return number;
        }

        _at = start;
        throw Error($"'{digits}' isn't a number");
    }

    private Operand ParseWord()
    {
        var start = _at;
        var word = ReadWord();
        if (word is "length" or "part" && Peek() == '(' && Take("("))
        {
            _ = Peek();
            var column = ReadWord();
            if (column.Length == 0) throw Error("expected a column");
            var parts = 0L;
            if (word == "part")
            {
                if (!Take(",")) throw Error("expected , and the number of parts");
                _ = Peek();
                parts = ParseNumber() is long and > 0 and var count ? count : throw Error("the number of parts is a whole number above 0");
            }

            return Take(")") ? new Operand(null, column, word == "length", parts) : throw Error("expected )");
        }

        if (Peek() == '(')
        {
            _at = start;
            throw Error($"there is no function '{word}', only length and part");
        }

        return word switch
        {
            "true" => new Operand(true, null, false),
            "false" => new Operand(false, null, false),
            "null" => new Operand(null, null, false),
            _ => new Operand(null, word, false),
        };
    }

    private string ReadWord()
    {
        var start = _at;
        while (_at < _expression.Length && (char.IsLetterOrDigit(_expression[_at]) || _expression[_at] is '_' or '.'))
        {
            _at++;
        }

        return _expression[start.._at];
    }

    private bool Compare(DataRow row, Operand left, string symbol, Operand right)
    {
        var a = left.ValueIn(row);
        var b = right.ValueIn(row);
        a = left.ReadAs(row, a, b);
        b = right.ReadAs(row, b, a);
        if (a is null || b is null)
        {
            return symbol switch
            {
                "==" => a is null && b is null,
                "!=" => a is not null || b is not null,
                _ => throw new InputException($"{row.Location}: filter '{_expression}': null has no order; put '{(a is null ? left : right).Column} != null &&' before the comparison"),
            };
        }

        int order;
        if (a is bool x && b is bool y && symbol is "==" or "!=")
        {
            order = (bool)a == (bool)b ? 0 : 1;
        }
        else if (a is string && b is string)
        {
            order = string.CompareOrdinal((string)a, (string)b);
        }
        else if (a is long && b is long)
        {
            order = ((long)a).CompareTo((long)b);
        }
        else if (a is long or double && b is long or double)
        {
            var (p, q) = (Convert.ToDouble(a, CultureInfo.InvariantCulture), Convert.ToDouble(b, CultureInfo.InvariantCulture));
            if (double.IsNaN(p) || double.IsNaN(q))
            {
                return symbol == "!=";
            }

            order = p.CompareTo(q);
        }
        else
        {
            throw new InputException($"{row.Location}: filter '{_expression}': can't compare {DataRow.Describe(a)} with {DataRow.Describe(b)} by {symbol}");
        }

        return symbol switch { "==" => order == 0, "!=" => order != 0, "<" => order < 0, "<=" => order <= 0, ">" => order > 0, _ => order >= 0 };
    }

    private char? Peek()
    {
        while (_at < _expression.Length && char.IsWhiteSpace(_expression[_at]))
        {
            _at++;
        }

        return _at < _expression.Length ? _expression[_at] : null;
    }

    private bool Take(string symbol)
    {
        _ = Peek();
        if (string.CompareOrdinal(_expression, _at, symbol, 0, symbol.Length) != 0)
        {
            return false;
        }

        _at += symbol.Length;
        return true;
    }

    private InputException Error(string problem)
    {
        _ = Peek();
        return new InputException($"filter '{_expression}', column {_at + 1}: {problem}");
    }

    /// <summary>A literal (no column), a column's value, the length of a column's value, or the part that it falls into (Parts above 0).</summary>
    private sealed record Operand(object? Literal, string? Column, bool IsLength, long Parts = 0)
    {
        public bool IsComputed => IsLength || Parts > 0;

        public object? ValueIn(DataRow row) => Column is null ? Literal : Parts > 0 ? PartOf(row.GetString(Column)) : !IsLength ? row[Column] : row[Column] switch
        {
            string text when !row.IsText || text.Length > 0 => (long)text.Length,
            string => 0L,
            IReadOnlyList<object?> list => (long)list.Count,
            var other => throw row.Invalid(Column, $"length needs a text or a list, found {DataRow.Describe(other)}"),
        };

        /// <summary>A field of a text table, read as the type of what it is compared with.</summary>
        public object? ReadAs(DataRow row, object? value, object? other) => value is not string || Column is null || IsComputed || !row.IsText ? value : other switch
        {
            long => row.GetDouble(Column),
            double => row.GetDouble(Column),
            bool => row.GetBoolean(Column),
            _ => value,
        };

        private object PartOf(string text)
        {
            var hash = 0UL;
            foreach (var unit in text) hash = RandomStream.Combine(hash, unit);
            return (long)(hash % (ulong)Parts);
        }
    }
}
