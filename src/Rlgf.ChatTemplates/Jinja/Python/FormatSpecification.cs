using System.Globalization;
using System.Numerics;
using System.Text.RegularExpressions;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Python's format specifications: what stands behind the colon of <c>'{:&gt;8.2f}'.format(x)</c>.</summary>
internal sealed partial class FormatSpecification
{
    private readonly string _text;
    private readonly string _fill;
    private readonly char? _align;
    private readonly char _grouping;
    private readonly char _kind;
    private readonly NumberStyle _style;

    private FormatSpecification(string text)
    {
        _text = text;
        var match = Pattern().Match(text);
        if (!match.Success)
            throw Wrong();
        _fill = match.Groups["fill"].Value;
        _align = match.Groups["align"].Value is [var align] ? align : null;
        _grouping = match.Groups["grouping"].Value is [var grouping] ? grouping : '\0';
        _kind = match.Groups["kind"].Value is [var kind] ? kind : '\0';
        _style = new NumberStyle
        {
            Width = Size("width") ?? 0,
            Precision = Size("precision"),
            Plus = match.Groups["sign"].Value.Replace("-", "", StringComparison.Ordinal),
            IsAlternate = match.Groups["alternate"].Length > 0,
            IsZeroed = match.Groups["zero"].Length > 0 && _align is null,
        };
        if (_fill.Length == 0)
            _fill = match.Groups["zero"].Length > 0 ? "0" : " ";

        int? Size(string group) => match.Groups[group].Value switch
        {
            "" => null,
            { Length: < 7 } digits => int.Parse(digits, CultureInfo.InvariantCulture),
            _ => throw Wrong(),
        };
    }

    /// <summary>Python's <c>format(value, specification)</c>.</summary>
    /// <exception cref="TemplateException">The value can't be written so.</exception>
    public static string Apply(object? value, string specification)
    {
        if (specification.Length == 0)
            return PythonText.Str(value);
        var format = new FormatSpecification(specification);
        if (value is string text)
            return format.OfText(text);
        if (value is double number)
            return format.OfFloat(number, format._kind);
        return Numbers.AsInteger(value) is { } whole
            ? format.OfInteger(whole)
            : throw new TemplateException($"formats a {PythonText.TypeOf(value)} by '{specification}'");
    }

    private string OfText(string text)
    {
        if (_kind is not ('\0' or 's') || _align == '=' || _style.Plus.Length > 0 || _style.IsAlternate || _grouping != '\0')
            throw Wrong();
        return Filled("", _style.Precision is { } most ? text[..CodePoints.ToOffset(text, most)] : text, _align ?? '<');
    }

    private string OfInteger(BigInteger number)
    {
        if (_kind is 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or '%')
            return OfFloat(Numbers.ToFloat(number), _kind);
        if (_style.Precision is not null || _kind is 's')
            throw Wrong();
        if (_kind == 'c')
            return number >= 0 && number < 0x110000 ? Filled("", CodePoints.Text((int)number), _align ?? '>') : throw Wrong();
        var numberBase = _kind switch { 'b' => 2, 'o' => 8, 'x' or 'X' => 16, _ => 10 };
        if (_grouping == ',' && numberBase != 10)
            throw Wrong();
        var (before, digits, _) = _style.Integer(number, numberBase, _kind == 'X', _style.IsAlternate && numberBase != 10 ? $"0{_kind}" : "");
        return Filled(before, digits, Alignment, numberBase == 10 ? 3 : 4);
    }

    private string OfFloat(double number, char kind)
    {
        if (kind is not ('\0' or 'e' or 'E' or 'f' or 'F' or 'g' or 'G' or 'n' or '%'))
            throw Wrong();
        if (kind == '%')
        {
            var (sign, percent, _) = _style.Float(number * 100, 'f');
            return Filled(sign, percent + "%", Alignment, 3);
        }
        if (kind != '\0')
        {
            var (sign, digits, _) = _style.Float(number, kind == 'n' ? 'g' : kind);
            return Filled(sign, digits, Alignment, 3);
        }
        var text = FloatText.Repr(Math.Abs(number));
        if (_style.Precision is { } precision && double.IsFinite(number))
        {
            // As %g, but a number without exponent keeps a digit behind the point.
            precision = Math.Max(precision, 1);
            text = FloatText.General(number, precision, _style.IsAlternate);
            if (!text.Contains('e', StringComparison.Ordinal) && !text.Contains('.', StringComparison.Ordinal))
                text = text.Length >= precision ? FloatText.Exponential(number, Math.Max(0, text.TrimEnd('0').Length - 1)) : text + ".0";
        }
        return Filled(_style.Sign(double.IsNegative(number) && !double.IsNaN(number)), text, Alignment, 3);
    }

    private char Alignment => _align ?? (_style.IsZeroed ? '=' : '>');

    private string Filled(string before, string text, char align, int group = 0)
    {
        if (_grouping != '\0' && group > 0)
            text = Grouped(text, group, align == '=' && _fill == "0" ? _style.Width - before.Length : 0);
        var missing = _style.Width - CodePoints.Count(before) - CodePoints.Count(text);
        if (missing <= 0)
            return before + text;
        var left = align switch { '<' => 0, '^' => missing / 2, _ => missing };
        return align == '='
            ? before + Fill(missing) + text
            : Fill(left) + before + text + Fill(missing - left);

        string Fill(int count) => string.Concat(Enumerable.Repeat(_fill, count));
    }

    /// <summary>Puts a sign between groups of digits, with zeros before them up to a width.</summary>
    private string Grouped(string text, int group, int width)
    {
        var end = text.AsSpan().IndexOfAny(".e%");
        var (digits, rest) = end < 0 ? (text, "") : (text[..end], text[end..]);
        if (!digits.All(char.IsAsciiHexDigit))
            return text;
        while (digits.Length + (digits.Length - 1) / group + rest.Length < width)
            digits = "0" + digits;
        // Zeros never begin with a sign between: one more stands before it.
        for (var at = digits.Length - group; at > 0; at -= group)
            digits = digits.Insert(at, _grouping.ToString());
        return digits + rest;
    }

    private TemplateException Wrong() => new($"formats a value by '{_text}', which doesn't fit it");

    [GeneratedRegex(
        @"^(?:(?<fill>[\uD800-\uDBFF][\uDC00-\uDFFF]|[\s\S])?(?<align>[<>=^]))?(?<sign>[-+ ])?(?<alternate>\#)?(?<zero>0)?" +
        @"(?<width>[0-9]*)(?<grouping>[,_])?(?:\.(?<precision>[0-9]+))?(?<kind>[bcdeEfFgGnosxX%])?\z",
        RegexOptions.ExplicitCapture)]
    private static partial Regex Pattern();
}
