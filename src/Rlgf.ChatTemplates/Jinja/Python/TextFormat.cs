using System.Globalization;
using System.Numerics;
using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Python's <c>'…{}…'.format(…)</c>.</summary>
internal sealed class TextFormat
{
    private const int MaxDepth = 2;

    private readonly PythonTuple _values;
    private readonly PythonDict _named;
    private readonly Rendering _rendering;
    private readonly Func<object?, string>? _escape;
    private int _next;

    private TextFormat(PythonTuple values, PythonDict named, Rendering rendering, Func<object?, string>? escape) =>
        (_values, _named, _rendering, _escape) = (values, named, rendering, escape);

    /// <summary>Puts values into a text.</summary>
    /// <param name="format">The text.</param>
    /// <param name="values">Values by position.</param>
    /// <param name="named">Values by name.</param>
    /// <param name="rendering">The use of the template.</param>
    /// <param name="escape">How values are escaped, or null.</param>
    /// <exception cref="TemplateException">They don't fit.</exception>
    public static string Apply(string format, PythonTuple values, PythonDict named, Rendering rendering, Func<object?, string>? escape = null) =>
        new TextFormat(values, named, rendering, escape).Filled(format, MaxDepth);

    private string Filled(string format, int depth)
    {
        if (depth == 0)
            throw new TemplateException("formats a text whose places are nested too deeply");
        var text = new StringBuilder();
        for (var at = 0; at < format.Length; at++)
        {
            var character = format[at];
            if (character is not ('{' or '}'))
            {
                text.Append(character);
            }
            else if (at + 1 < format.Length && format[at + 1] == character)
            {
                text.Append(character);
                at++;
            }
            else
            {
                _rendering.Step();
                var end = character == '{' ? End(format, at) : throw new TemplateException("formats a text that has a single '}'");
                text.Append(Place(format[(at + 1)..end], depth));
                _rendering.RequireSize(text.Length);
                at = end;
            }
        }
        return text.ToString();
    }

    private static int End(string format, int start)
    {
        var depth = 0;
        for (var at = start; at < format.Length; at++)
        {
            if (format[at] == '[' && depth == 1)
                at = Math.Max(at, format.IndexOf(']', at));
            depth += format[at] == '{' ? 1 : format[at] == '}' ? -1 : 0;
            if (depth == 0)
                return at;
        }
        throw new TemplateException("formats a text that has a single '{'");
    }

    private string Place(string place, int depth)
    {
        var bracket = place.IndexOf('[', StringComparison.Ordinal);
        var close = bracket < 0 ? -1 : place.IndexOf(']', bracket);
        var end = place.AsSpan(Math.Max(close, 0)).IndexOfAny('!', ':') is >= 0 and var found ? found + Math.Max(close, 0) : place.Length;
        if (place.AsSpan(0, bracket < 0 ? 0 : bracket).IndexOfAny('!', ':') is >= 0 and var earlier)
            end = earlier;
        var value = Field(place[..end]);
        var isConverted = end < place.Length && place[end] == '!';
        if (isConverted)
        {
            if (end + 1 >= place.Length || (end + 2 < place.Length && place[end + 2] != ':'))
                throw new TemplateException($"formats a text with the place {{{place}}}");
            value = place[end + 1] switch
            {
                's' => PythonText.Str(value),
                'r' => PythonText.Repr(value),
                'a' => PercentFormat.Apply("%a", PythonTuple.Of(value), _rendering),
                var kind => throw new TemplateException($"formats a text with the conversion !{kind}"),
            };
            end += 2;
        }
        var specification = end < place.Length ? Filled(place[(end + 1)..], depth - 1) : "";
        var text = FormatSpecification.Apply(value is Markup markup ? markup.Text : value, specification);
        return _escape is null || value is Markup ? text : _escape(text);
    }

    private object? Field(string field)
    {
        var end = field.AsSpan().IndexOfAny('.', '[') is >= 0 and var found ? found : field.Length;
        var value = First(field[..end]);
        while (end < field.Length)
        {
            var isItem = field[end] == '[';
            var start = end + 1;
            end = isItem ? field.IndexOf(']', start) : field.AsSpan(start).IndexOfAny('.', '[') is >= 0 and var next ? start + next : field.Length;
            if (end <= start)
                throw new TemplateException($"formats a text with the place {{{field}}}");
            var key = field[start..end];
            value = isItem
                ? Attributes.Item(value, Number(key) is { } index ? index : key, _rendering)
                : Attributes.Get(value, key, _rendering);
            end += isItem ? 1 : 0;
            if (isItem && end < field.Length && field[end] is not ('.' or '['))
                throw new TemplateException($"formats a text with the place {{{field}}}");
        }
        return value;
    }

    private object? First(string name)
    {
        if (name.Length == 0 || Number(name) is not null)
        {
            var isCounted = name.Length == 0;
            if (isCounted ? _next < 0 : _next > 0)
                throw new TemplateException("formats a text that counts its places itself and lets them be counted");
            var at = isCounted ? _next++ : Number(name)!.Value;
            _next = isCounted ? _next : -1;
            return at < _values.Items.Count ? _values.Items[(int)at] : throw new TemplateException("formats a text with fewer values than it has places");
        }
        return _named.TryGet(name, out var value) ? value : throw new TemplateException($"formats a text without '{name}'");
    }

    private static BigInteger? Number(string text) =>
        text.Length > 0 && text.All(char.IsAsciiDigit) ? BigInteger.Parse(text, CultureInfo.InvariantCulture) : null;
}
