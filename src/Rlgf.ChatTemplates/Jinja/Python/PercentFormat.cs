using System.Numerics;
using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Python's <c>'…%d…' % values</c>.</summary>
internal sealed class PercentFormat
{
    private readonly string _format;
    private readonly object? _values;
    private readonly Rendering _rendering;
    private readonly Func<object?, string>? _escape;
    private readonly StringBuilder _text = new();
    private int _at;
    private int _used;
    private bool _isNamed;

    private PercentFormat(string format, object? values, Rendering rendering, Func<object?, string>? escape) =>
        (_format, _values, _rendering, _escape) = (format, values, rendering, escape);

    /// <summary>Puts values into a text.</summary>
    /// <param name="format">The text.</param>
    /// <param name="values">A tuple, a dictionary where the text names its values, or one value.</param>
    /// <param name="rendering">The use of the template.</param>
    /// <param name="escape">How texts among the values are escaped, or null.</param>
    /// <exception cref="TemplateException">They don't fit.</exception>
    public static string Apply(string format, object? values, Rendering rendering, Func<object?, string>? escape = null)
    {
        var run = new PercentFormat(format, values, rendering, escape);
        while (run._at < format.Length)
        {
            rendering.Step();
            run.Next();
            rendering.RequireSize(run._text.Length);
        }
        if (!run._isNamed && run._used < run.Count && values is not (PythonDict or List<object?> or PythonRange or Undefined))
            throw new TemplateException($"formats {PythonText.Quoted(format)} with more values than it has places");
        return run._text.ToString();
    }

    private int Count => _values is PythonTuple tuple ? tuple.Items.Count : 1;

    private void Next()
    {
        var next = _format.IndexOf('%', _at);
        if (next != _at)
        {
            _text.Append(_format, _at, (next < 0 ? _format.Length : next) - _at);
            _at = next < 0 ? _format.Length : next;
            return;
        }
        var start = ++_at;
        var name = Name();
        var place = new NumberStyle();
        while (Current is '-' or '+' or ' ' or '#' or '0')
            place = place.With(_format[_at++]);
        place = place with { Width = Size() is { } width ? Math.Abs(width) : 0, IsLeft = place.IsLeft || _lastSizeWasNegative };
        if (Current == '.')
        {
            _at++;
            place = place with { Precision = Math.Max(0, Size() ?? 0) };
        }
        while (Current is 'h' or 'l' or 'L')
            _at++;
        if (_at == _format.Length)
            throw new TemplateException($"formats {PythonText.Quoted(_format)}, which ends within a place");
        var kind = _format[_at++];
        _rendering.RequireSize(place.Width + (long)place.Precision.GetValueOrDefault());
        if (kind == '%' && _at == start + 1)
            _text.Append('%');
        else
            _text.Append(place.Padded(Piece(kind, name is null ? Value() : Named(name), place)));
    }

    private char Current => _at < _format.Length ? _format[_at] : '\0';

    private bool _lastSizeWasNegative;

    private string? Name()
    {
        if (Current != '(')
            return null;
        var (start, depth) = (_at + 1, 0);
        do
        {
            depth += Current == '(' ? 1 : Current == ')' ? -1 : 0;
            if (_at++ >= _format.Length)
                throw new TemplateException($"formats {PythonText.Quoted(_format)}, which has a name without its bracket");
        }
        while (depth > 0);
        return _format[start..(_at - 1)];
    }

    private object? Named(string name)
    {
        _isNamed = true;
        var dict = _values as PythonDict ?? throw new TemplateException($"formats {PythonText.Quoted(_format)}, which names its values, with a {PythonText.TypeOf(_values)}");
        return dict.TryGet(name, out var value) ? value : throw new TemplateException($"formats {PythonText.Quoted(_format)} without '{name}'");
    }

    private object? Value()
    {
        if (_used >= Count || _isNamed)
            throw new TemplateException($"formats {PythonText.Quoted(_format)} with fewer values than it has places");
        var value = _values is PythonTuple tuple ? tuple.Items[_used] : _values;
        _used++;
        return value;
    }

    private int? Size()
    {
        _lastSizeWasNegative = false;
        if (Current == '*')
        {
            _at++;
            var value = Value() is BigInteger whole ? whole : throw new TemplateException($"formats {PythonText.Quoted(_format)} with a width that isn't an int");
            _lastSizeWasNegative = value.Sign < 0;
            return (int)BigInteger.Max(-1 << 30, BigInteger.Min(1 << 30, value));
        }
        int? size = null;
        for (; char.IsAsciiDigit(Current); _at++)
            size = Math.Min(1 << 27, (size ?? 0) * 10 + (_format[_at] - '0'));
        return size;
    }

    /// <summary>A sign and a prefix, then what is written.</summary>
    private (string Before, string Text, bool IsNumber) Piece(char kind, object? value, NumberStyle place)
    {
        switch (kind)
        {
            case 's' or 'r' or 'a':
                var text = kind == 's' ? PythonText.Str(value) : PythonText.Repr(value);
                if (kind == 'a')
                    text = string.Concat(CodePoints.Each(text).Select(character => char.IsAscii(character[0]) ? character : PythonText.Escaped(CodePoints.At(character, 0))));
                text = _escape is null ? text : _escape(kind == 's' ? value : text);
                return ("", place.Precision is { } most ? text[..CodePoints.ToOffset(text, most)] : text, false);
            case 'c':
                return ("", Character(value), false);
            case 'd' or 'i' or 'u':
                var whole = value is double fraction ? Numbers.Truncated(fraction) : Numbers.AsInteger(value) ?? throw Wrong(kind, value);
                return place.Integer(whole, 10, false, "");
            case 'x' or 'X' or 'o':
                var number = Numbers.AsInteger(value) ?? throw Wrong(kind, value);
                return place.Integer(number, kind == 'o' ? 8 : 16, kind == 'X', place.IsAlternate ? $"0{kind}" : "");
            case 'e' or 'E' or 'f' or 'F' or 'g' or 'G':
                var real = Numbers.AsFloat(value) ?? throw Wrong(kind, value);
                return place.Float(real, kind);
            default:
                throw new TemplateException($"formats {PythonText.Quoted(_format)}, which has the unknown place %{kind}");
        }
    }

    private static TemplateException Wrong(char kind, object? value) => new($"formats a {PythonText.TypeOf(value)} by %{kind}");

    private static string Character(object? value)
    {
        if (Numbers.AsInteger(value) is { } code)
            return code >= 0 && code < 0x110000 ? CodePoints.Text((int)code) : throw new TemplateException("formats an int by %c that is no character");
        return PythonText.AsText(value) is { } text && CodePoints.Count(text) == 1
            ? text
            : throw new TemplateException($"formats a {PythonText.TypeOf(value)} by %c that isn't one character");
    }
}
