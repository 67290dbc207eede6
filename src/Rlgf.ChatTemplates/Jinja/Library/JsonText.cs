using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>JSON as Python's <c>json.dumps</c> writes it, which is what the transformers library's <c>tojson</c> does.</summary>
internal sealed class JsonText
{
    private readonly StringBuilder _text = new();
    private readonly BoundCall _call;
    private readonly bool _isAscii;
    private readonly string? _indentation;
    private readonly string _itemSeparator;
    private readonly string _keySeparator;
    private readonly bool _isSorted;

    private JsonText(BoundCall call)
    {
        _call = call;
        _isAscii = call.IsTrue(1);
        _indentation = call[2] is null ? null : PythonText.AsText(call[2]) ?? new string(' ', Math.Clamp(call.Integer(2), 0, 1000));
        (_itemSeparator, _keySeparator) = Separators(call);
        _isSorted = call.IsTrue(4);
    }

    /// <summary>The filter: value, ensure_ascii, indent, separators, sort_keys.</summary>
    public static object? OfCall(BoundCall call)
    {
        var json = new JsonText(call);
        json.Write(call[0], 0);
        return json._text.ToString();
    }

    private static (string Item, string Key) Separators(BoundCall call)
    {
        if (call[3] is null)
            return (call[2] is null ? ", " : ",", ": ");
        return call.Elements(3).Take(3).ToList() is [var item, var key] && PythonText.AsText(item) is { } between && PythonText.AsText(key) is { } behind
            ? (between, behind)
            : throw call.Wrong(3, "two texts");
    }

    private void Write(object? value, int level)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        _call.Rendering.Step();
        _call.Rendering.RequireRoom(_text.Length);
        switch (value)
        {
            case string or Markup:
                Quote(PythonText.AsText(value)!);
                break;
            case List<object?> list:
                Group('[', ']', list, level, item => Write(item, level + 1));
                break;
            case PythonTuple tuple:
                Group('[', ']', tuple.Items, level, item => Write(item, level + 1));
                break;
            case PythonDict dict:
                var entries = new DictView(dict, "items").Items;
                Group('{', '}', _isSorted ? Sorting.By(entries, entry => ((PythonTuple)entry!).Items[0], isReversed: false, _call.Rendering) : entries, level, entry =>
                {
                    Quote(Key(((PythonTuple)entry!).Items[0]));
                    _text.Append(_keySeparator);
                    Write(((PythonTuple)entry).Items[1], level + 1);
                });
                break;
            default:
                _text.Append(Plain(value) ?? throw new TemplateException($"writes a {PythonText.TypeOf(value)} as JSON"));
                break;
        }
    }

    private static string? Plain(object? value) => value switch
    {
        null => "null",
        bool flag => flag ? "true" : "false",
        BigInteger number => PythonText.Digits(number),
        double number when double.IsFinite(number) => FloatText.Repr(number),
        double number => double.IsNaN(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity",
        _ => null,
    };

    private static string Key(object? key) => PythonText.AsText(key) ?? Plain(key) ?? throw new TemplateException($"writes a {PythonText.TypeOf(key)} as a key of JSON");

    private void Group(char open, char close, IEnumerable<object?> items, int level, Action<object?> write)
    {
        _text.Append(open);
        var isFirst = true;
        foreach (var item in items)
        {
            _text.Append(isFirst ? "" : _itemSeparator);
            NewLine(level + 1);
            write(item);
            isFirst = false;
        }
        if (!isFirst)
            NewLine(level);
        _text.Append(close);
    }

    private void NewLine(int level)
    {
        if (_indentation is null)
            return;
        _call.Rendering.RequireRoom(_text.Length + (long)_indentation.Length * level);
        _text.Append('\n').Insert(_text.Length, _indentation, level);
    }

    private void Quote(string characters)
    {
        _text.Append('"');
        foreach (var character in characters)
        {
            _text.Append(character switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\b' => "\\b",
                '\f' => "\\f",
                _ when character < ' ' || (_isAscii && character > '~') => string.Create(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}"),
                _ => character.ToString(),
            });
        }
        _text.Append('"');
    }
}
