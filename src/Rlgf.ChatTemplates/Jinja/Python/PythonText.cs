using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Python's <c>str()</c>, <c>repr()</c> and names of types.</summary>
internal static class PythonText
{
    /// <summary>Where objects lie in memory, which Python prints with some and which is another on every run; here it is the same for all.</summary>
    public const string Address = "0x0";

    private const int MostCharacters = 1 << 20;
    private const int MostDigits = 4300;

    /// <summary>A text, marked as HTML or not; null for anything else.</summary>
    public static string? AsText(object? value) => value as string ?? (value as Markup)?.Text;

    /// <summary>The value as it is written.</summary>
    public static string Str(object? value) => value is Undefined ? "" : AsText(value) ?? Repr(value);

    /// <summary>The value as code.</summary>
    public static string Repr(object? value)
    {
        var text = new StringBuilder();
        Write(value, text);
        return text.ToString();
    }

    /// <summary>What Python calls the type.</summary>
    public static string TypeOf(object? value) => value switch
    {
        null => "NoneType",
        Undefined undefined => $"undefined value ('{undefined.Name}')",
        bool => "bool",
        BigInteger => "int",
        double => "float",
        string => "str",
        Markup => "Markup",
        List<object?> => "list",
        PythonTuple => "tuple",
        PythonDict => "dict",
        PythonRange => "range",
        DictView view => $"dict_{view.Kind}",
        PythonIterator iterator => iterator.Type,
        IPythonObject other => other.TypeName,
        _ => "object",
    };

    /// <summary>A text in quotes.</summary>
    /// <param name="text">The text.</param>
    /// <param name="isAscii">Whether what isn't ASCII is escaped too.</param>
    public static string Quoted(string text, bool isAscii = false)
    {
        var quote = text.Contains('\'', StringComparison.Ordinal) && !text.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        var quoted = new StringBuilder().Append(quote);
        for (var at = 0; at < text.Length; at += CodePoints.Width(text, at))
        {
            var character = CodePoints.At(text, at);
            quoted.Append(character switch
            {
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                _ when character == quote => $"\\{quote}",
                _ when Characters.IsPrintable(character) && !(isAscii && character > 126) => CodePoints.Text(character),
                _ => Escaped(character),
            });
        }
        return quoted.Append(quote).ToString();
    }

    /// <summary>A whole number in decimal digits.</summary>
    /// <exception cref="TemplateException">It has more of them than Python writes.</exception>
    public static string Digits(BigInteger number) => number.GetBitLength() < 14_000 || BigInteger.Abs(number) < BigInteger.Pow(10, MostDigits)
        ? number.ToString(CultureInfo.InvariantCulture)
        : throw new TemplateException($"writes an int of more than {MostDigits} digits");

    /// <summary>A character by its number.</summary>
    public static string Escaped(int character) => character switch
    {
        < 0x100 => string.Create(CultureInfo.InvariantCulture, $"\\x{character:x2}"),
        < 0x10000 => string.Create(CultureInfo.InvariantCulture, $"\\u{character:x4}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"\\U{character:x8}"),
    };

    private static void Write(object? value, StringBuilder text)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (text.Length > MostCharacters)
            throw new TemplateException("writes a value that is too large");
        switch (value)
        {
            case List<object?> list:
                WriteAll(list, text.Append('['));
                text.Append(']');
                break;
            case PythonTuple tuple:
                WriteAll(tuple.Items, text.Append('('));
                text.Append(tuple.Items.Count == 1 ? ",)" : ")");
                break;
            case PythonDict dict:
                var first = true;
                text.Append('{');
                foreach (var (key, entry) in dict)
                {
                    Write(key, text.Append(first ? "" : ", "));
                    Write(entry, text.Append(": "));
                    first = false;
                }
                text.Append('}');
                break;
            case DictView view:
                WriteAll(view.Items, text.Append("dict_").Append(view.Kind).Append("(["));
                text.Append("])");
                break;
            default:
                text.Append(OfOne(value));
                break;
        }
    }

    private static void WriteAll(IEnumerable<object?> items, StringBuilder text)
    {
        var first = true;
        foreach (var item in items)
        {
            Write(item, text.Append(first ? "" : ", "));
            first = false;
        }
    }

    private static string OfOne(object? value) => value switch
    {
        null => "None",
        Undefined => "Undefined",
        bool flag => flag ? "True" : "False",
        BigInteger number => Digits(number),
        double number => FloatText.Repr(number),
        string quoted => Quoted(quoted),
        Markup markup => $"Markup({Quoted(markup.Text)})",
        PythonRange range => $"range({range.Start}, {range.Stop}{(range.Step.IsOne ? "" : $", {range.Step}")})",
        PythonIterator iterator => iterator.Repr,
        IPythonObject other => other.Repr(),
        _ => "<object>",
    };
}
