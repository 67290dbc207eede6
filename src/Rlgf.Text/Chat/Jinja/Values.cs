using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Rlgf.Text.Chat.Jinja;

/// <summary>
/// Python's values as templates see them: null (None), bool, long, double, string, lists (<see cref="List{T}"/>), dictionaries in the order of insertion
/// (<see cref="OrderedDictionary{TKey,TValue}"/>), and what only templates have.
/// </summary>
internal static class Values
{
    /// <summary>Values may hold themselves many times over, so that what they spell or compare to has an end of its own.</summary>
    public const int MostParts = 1 << 20;

    /// <summary>Whether a condition holds.</summary>
    public static bool IsTrue(object? value) => value switch
    {
        null or Undefined => false,
        bool flag => flag,
        long number => number != 0,
        double number => number != 0,
        string text => text.Length > 0,
        List<object?> list => list.Count > 0,
        OrderedDictionary<string, object?> map => map.Count > 0,
        _ => true,
    };

    /// <summary>Python's <c>==</c>.</summary>
    public static bool AreEqual(object? left, object? right)
    {
        var comparisons = MostParts;
        return AreEqual(left, right, ref comparisons);
    }

    /// <summary>Python's order of two values; null where they have none.</summary>
    public static int? Compare(object? left, object? right) => (left, right) switch
    {
        (string a, string b) => string.CompareOrdinal(a, b),
        (long a, long b) => a.CompareTo(b),
        _ when Number(left) is { } a && Number(right) is { } b => a.CompareTo(b),
        _ => null,
    };

    /// <summary>A number, or true and false as 1 and 0; null for anything else.</summary>
    public static double? Number(object? value) => value switch
    {
        bool flag => flag ? 1 : 0,
        long number => number,
        double number => number,
        _ => null,
    };

    /// <summary>A whole number; null for anything else.</summary>
    public static long? Integer(object? value) => value switch
    {
        bool flag => flag ? 1 : 0,
        long number => number,
        _ => null,
    };

    /// <summary>What Python calls the type.</summary>
    public static string TypeOf(object? value) => value switch
    {
        null => "None",
        Undefined undefined => $"undefined ({undefined.Name})",
        bool => "bool",
        long => "int",
        double => "float",
        string => "str",
        List<object?> => "list",
        OrderedDictionary<string, object?> => "dict",
        Namespace => "namespace",
        Loop => "loop",
        _ => "function",
    };

    /// <summary>The value as it is written, Python's <c>str()</c>.</summary>
    public static string Text(object? value) => value switch
    {
        Undefined => "",
        string text => text,
        _ => Spelled(value),
    };

    /// <summary>The value as code, Python's <c>repr()</c>.</summary>
    public static string Spelled(object? value)
    {
        var text = new StringBuilder();
        Spell(value, text);
        return text.ToString();
    }

    /// <summary>A number as Python writes it: a whole one keeps its ".0".</summary>
    public static string Spelled(double number)
    {
        if (!double.IsFinite(number))
            return double.IsNaN(number) ? "nan" : number > 0 ? "inf" : "-inf";
        var text = number.ToString("R", CultureInfo.InvariantCulture);
        if (text.Contains('E', StringComparison.Ordinal))
            return text.Replace("E", "e", StringComparison.Ordinal);
        return text.Contains('.', StringComparison.Ordinal) ? text : text + ".0";
    }

    private static bool AreEqual(object? left, object? right, ref int comparisons)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (--comparisons < 0)
            throw new TemplateLimitException("compares values that are too large");
        switch (left, right)
        {
            case (List<object?> a, List<object?> b):
                if (ReferenceEquals(a, b))
                    return true;
                var same = a.Count == b.Count;
                for (var i = 0; i < a.Count && same; i++)
                    same = AreEqual(a[i], b[i], ref comparisons);
                return same;
            case (OrderedDictionary<string, object?> a, OrderedDictionary<string, object?> b):
                var equal = a.Count == b.Count;
                foreach (var (key, value) in a)
                    equal = equal && b.TryGetValue(key, out var other) && AreEqual(value, other, ref comparisons);
                return equal;
            case (Undefined, Undefined):
                return true;
        }
        return Number(left) is { } x && Number(right) is { } y ? x == y : Equals(left, right);
    }

    private static void Spell(object? value, StringBuilder text)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (text.Length > MostParts)
            throw new TemplateLimitException("writes a value that is too large");
        switch (value)
        {
            case List<object?> list:
                text.Append('[');
                for (var i = 0; i < list.Count; i++)
                    Spell(list[i], text.Append(i == 0 ? "" : ", "));
                text.Append(']');
                break;
            case OrderedDictionary<string, object?> map:
                text.Append('{');
                for (var i = 0; i < map.Count; i++)
                    Spell(map.GetAt(i).Value, text.Append(i == 0 ? "" : ", ").Append(Quoted(map.GetAt(i).Key)).Append(": "));
                text.Append('}');
                break;
            default:
                text.Append(value switch
                {
                    null => "None",
                    Undefined => "Undefined",
                    bool flag => flag ? "True" : "False",
                    long number => number.ToString(CultureInfo.InvariantCulture),
                    double number => Spelled(number),
                    string quoted => Quoted(quoted),
                    _ => $"<{TypeOf(value)}>",
                });
                break;
        }
    }

    private static string Quoted(string text)
    {
        var quote = text.Contains('\'', StringComparison.Ordinal) && !text.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        var quoted = new StringBuilder().Append(quote);
        foreach (var character in text)
        {
            quoted.Append(character switch
            {
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                _ when character == quote => $"\\{character}",
                _ when char.IsControl(character) => string.Create(CultureInfo.InvariantCulture, $"\\x{(int)character:x2}"),
                _ => character.ToString(),
            });
        }
        return quoted.Append(quote).ToString();
    }
}
