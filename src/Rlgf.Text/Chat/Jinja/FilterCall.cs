using System.Globalization;
using System.Text;

namespace Rlgf.Text.Chat.Jinja;

/// <summary>One use of a filter.</summary>
/// <param name="name">The filter.</param>
/// <param name="value">What stands before it.</param>
/// <param name="arguments">Arguments by place.</param>
/// <param name="named">Arguments by name.</param>
/// <param name="rendering">Counts what is done.</param>
/// <param name="line">Where it stands in the template.</param>
internal sealed class FilterCall(string name, object? value, IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named, Rendering rendering, int line)
{
    /// <summary>What the filter makes of the value.</summary>
    public object? Result() => name switch
    {
        "default" or "d" => IsUseless() ? Argument(0, "default_value") ?? "" : value,
        "string" => Values.Text(value),
        "safe" => value,
        "tojson" => JsonText.Of(value, Values.Integer(Argument(0, "indent")) is { } indent ? (int)Math.Clamp(indent, 0, 64) : null) ?? throw Error($"writes a {Values.TypeOf(value)} as JSON"),
        "trim" => Argument(0, "chars") is string characters ? Values.Text(value).Trim(characters.ToCharArray()) : Values.Text(value).Trim(),
        "upper" => Values.Text(value).ToUpperInvariant(),
        "lower" => Values.Text(value).ToLowerInvariant(),
        "title" => TextChanges.Title(Values.Text(value)),
        "capitalize" => TextChanges.Capitalized(Values.Text(value)),
        "replace" => TextChanges.Replace(Values.Text(value), Values.Text(Argument(0, "old")), Values.Text(Argument(1, "new")), Argument(2, "count"), rendering, line),
        "indent" => TextChanges.Indent(Values.Text(value), IndentWidth(), Values.IsTrue(Argument(1, "first")), Values.IsTrue(Argument(2, "blank"))),
        "int" => ToInteger(value) ?? Argument(0, "default") ?? 0L,
        "float" => ToNumber(),
        "abs" => Size(),
        "round" => Math.Round(Values.Number(value) ?? throw Error($"rounds a {Values.TypeOf(value)}"), (int)Math.Clamp(Values.Integer(Argument(0, "precision")) ?? 0, 0, 15), MidpointRounding.ToEven),
        "length" or "count" => Length(),
        "list" => Elements(),
        "items" => value is Undefined ? new List<object?>() : ((Callable)Members.Get(Map(), "items", methodsFirst: true, rendering, line)!)([], named, line),
        "dictsort" => Map().OrderBy(entry => entry.Key, StringComparer.OrdinalIgnoreCase).Select(entry => (object?)new List<object?> { entry.Key, entry.Value }).ToList(),
        "first" => Elements() is [var first, ..] ? first : new Undefined("first"),
        "last" => Elements() is [.., var last] ? last : new Undefined("last"),
        "join" => Join(Argument(1, "attribute") is { } attribute ? Elements().Select(item => Attribute(item, attribute)) : Elements(), Values.Text(Argument(0, "d") ?? "")),
        "reverse" => value is string forward ? new string([.. forward.Reverse()]) : Enumerable.Reverse(Elements()).ToList(),
        "sort" => Sorted(),
        "unique" => Distinct(),
        "min" or "max" => Extreme(),
        "sum" => (Argument(0, "attribute") is { } part ? Elements().Select(item => Attribute(item, part)) : Elements())
            .Aggregate((object?)0L, (sum, item) => Operations.Apply("+", sum, item, rendering, line)),
        "map" => Mapped(),
        "select" or "reject" => Elements().Where(item => Passes(item, arguments) == (name == "select")).ToList(),
        "selectattr" or "rejectattr" => Elements().Where(item => Passes(Attribute(item, arguments.ElementAtOrDefault(0)), [.. arguments.Skip(1)]) == (name == "selectattr")).ToList(),
        _ => throw Error($"uses the filter '{name}', which isn't supported"),
    };

    private static long? ToInteger(object? value) => value switch
    {
        double number when Math.Abs(number) < 1e18 => (long)number,
        string text when long.TryParse(text.Trim(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var parsed) => parsed,
        string text when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var parsed) && Math.Abs(parsed) < 1e18 => (long)parsed,
        _ => Values.Integer(value),
    };

    // Order and sameness don't mind case unless asked to.
    private static object? Folded(object? item) => item is string text ? text.ToLowerInvariant() : item;

    private bool IsUseless() => value is Undefined || (Values.IsTrue(Argument(1, "boolean")) && !Values.IsTrue(value));

    private string IndentWidth() => Argument(0, "width") switch
    {
        string prefix => prefix,
        var count => new string(' ', (int)Math.Clamp(Values.Integer(count) ?? 4, 0, 1000)),
    };

    private object ToNumber() =>
        Values.Number(value) ?? (value is string digits && double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out var parsed) ? parsed : Argument(0, "default") ?? 0.0);

    private object Size() =>
        value is double fraction ? (object)Math.Abs(fraction) : Values.Integer(value) is { } whole and > long.MinValue ? Math.Abs(whole) : throw Error($"takes the size of a {Values.TypeOf(value)}");

    private long Length() => value switch
    {
        string text => text.EnumerateRunes().Count(),
        Undefined => 0,
        _ => Elements().Count,
    };

    private List<object?> Sorted()
    {
        var by = Argument(2, "attribute");
        var sorted = Elements();
        sorted = [.. sorted.Order(Comparer<object?>.Create((a, b) => Order(Key(a), Key(b))))];
        if (Values.IsTrue(Argument(0, "reverse")))
            sorted.Reverse();
        return sorted;

        object? Key(object? item) => Values.IsTrue(Argument(1, "case_sensitive")) ? Part(item) : Folded(Part(item));
        object? Part(object? item) => by is null ? item : Attribute(item, by);
    }

    private List<object?> Distinct()
    {
        var distinct = new List<object?>();
        foreach (var item in Elements())
        {
            if (!Operations.Contains(distinct.ConvertAll(Folded), Folded(item), rendering, line))
                distinct.Add(item);
        }
        return distinct;
    }

    private object? Extreme()
    {
        var range = Elements();
        return range.Count == 0 ? new Undefined(name) : range.Aggregate((a, b) => Order(Folded(a), Folded(b)) > 0 == (name == "min") ? b : a);
    }

    private List<object?> Mapped() => named.TryGetValue("attribute", out var key)
        ? Elements().Select(item => Attribute(item, key) is var found && found is Undefined && named.TryGetValue("default", out var otherwise) ? otherwise : found).ToList()
        : Elements().Select(item => Filters.Apply(Known(arguments.ElementAtOrDefault(0)), item, [.. arguments.Skip(1)], named, rendering, line)).ToList();

    private object? Argument(int index, string called) => index < arguments.Count ? arguments[index] : named.GetValueOrDefault(called);

    private InputException Error(string what) => rendering.Error(line, what);

    private OrderedDictionary<string, object?> Map() => value as OrderedDictionary<string, object?> ?? throw Error($"uses the filter '{name}' on a {Values.TypeOf(value)}");

    private List<object?> Elements()
    {
        var elements = Sequence.Of(value) ?? throw Error($"uses the filter '{name}' on a {Values.TypeOf(value)}");
        rendering.Step(line, elements.Count);
        return elements;
    }

    private object? Attribute(object? item, object? path) => path is string keys
        ? keys.Split('.').Aggregate(item, (target, part) => Members.Get(target, part, methodsFirst: false, rendering, line))
        : Members.At(item, path, rendering, line);

    private bool Passes(object? item, IReadOnlyList<object?> test) => test.ElementAtOrDefault(0) is not string testName
        ? Values.IsTrue(item)
        : Tests.Has(testName) ? Tests.Holds(testName, item, [.. test.Skip(1)], rendering, line) : throw Error($"uses the test '{testName}', which isn't supported");

    private string Known(object? filter) => filter is string filterName && Filters.Has(filterName) ? filterName : throw Error($"maps by the filter '{Values.Text(filter)}', which isn't supported");

    private int Order(object? a, object? b)
    {
        rendering.Step(line);
        return Values.Compare(a, b) ?? throw Error($"sorts a {Values.TypeOf(a)} and a {Values.TypeOf(b)}");
    }

    private string Join(IEnumerable<object?> items, string separator)
    {
        var joined = new StringBuilder();
        foreach (var item in items)
        {
            joined.Append(Values.Text(item)).Append(separator);
            rendering.RequireSize(joined.Length, line);
        }
        return joined.Length == 0 ? "" : joined.ToString(0, joined.Length - separator.Length);
    }
}
