using System.Globalization;
using System.Text;

namespace Rlgf.Text.Chat.Jinja;

/// <summary>What may follow <c>|</c>.</summary>
internal static class Filters
{
    private static readonly HashSet<string> Names =
    [
        "trim", "tojson", "length", "count", "upper", "lower", "title", "capitalize", "default", "d", "join", "first", "last", "replace", "string", "int", "float",
        "list", "items", "map", "select", "reject", "selectattr", "rejectattr", "reverse", "sort", "unique", "abs", "round", "indent", "safe", "dictsort", "sum", "min", "max",
    ];

    /// <summary>Whether a filter is one that is supported.</summary>
    public static bool Has(string name) => Names.Contains(name);

    /// <summary>What a filter makes of a value.</summary>
    public static object? Apply(string name, object? value, IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named, Rendering rendering, int line) =>
        rendering.Made(Result(name, value, arguments, named, rendering, line), line);

    private static object? Result(string name, object? value, IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named, Rendering rendering, int line)
    {
        switch (name)
        {
            case "default" or "d":
                var useless = value is Undefined || (Values.IsTrue(Argument(1, "boolean")) && !Values.IsTrue(value));
                return useless ? Argument(0, "default_value") ?? "" : value;
            case "tojson":
                return JsonText.Of(value, Values.Integer(Argument(0, "indent")) is { } indent ? (int)Math.Clamp(indent, 0, 64) : null)
                    ?? throw Error($"writes a {Values.TypeOf(value)} as JSON");
            case "string":
                return Values.Text(value);
            case "safe":
                return value;
            case "trim":
                return Argument(0, "chars") is string characters ? Values.Text(value).Trim(characters.ToCharArray()) : Values.Text(value).Trim();
            case "upper":
                return Values.Text(value).ToUpperInvariant();
            case "lower":
                return Values.Text(value).ToLowerInvariant();
            case "title":
                return TextChanges.Title(Values.Text(value));
            case "capitalize":
                return TextChanges.Capitalized(Values.Text(value));
            case "replace":
                return TextChanges.Replace(Values.Text(value), Values.Text(Argument(0, "old")), Values.Text(Argument(1, "new")), Argument(2, "count"), rendering, line);
            case "indent":
                var width = Argument(0, "width") switch
                {
                    string prefix => prefix,
                    var count => new string(' ', (int)Math.Clamp(Values.Integer(count) ?? 4, 0, 1000)),
                };
                return TextChanges.Indent(Values.Text(value), width, Values.IsTrue(Argument(1, "first")), Values.IsTrue(Argument(2, "blank")));
            case "int":
                return ToInteger(value) ?? Argument(0, "default") ?? 0L;
            case "float":
                return Values.Number(value) ?? (value is string digits && double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out var parsed) ? parsed : Argument(0, "default") ?? 0.0);
            case "abs":
                return value is double fraction ? (object)Math.Abs(fraction) : Values.Integer(value) is { } whole and > long.MinValue ? Math.Abs(whole) : throw Error($"takes the size of a {Values.TypeOf(value)}");
            case "round":
                var digitsKept = (int)Math.Clamp(Values.Integer(Argument(0, "precision")) ?? 0, 0, 15);
                return Math.Round(Values.Number(value) ?? throw Error($"rounds a {Values.TypeOf(value)}"), digitsKept, MidpointRounding.ToEven);
            case "length" or "count":
                return value switch
                {
                    string text => (long)text.EnumerateRunes().Count(),
                    Undefined => 0L,
                    _ => (long)Elements().Count,
                };
            case "list":
                return Elements();
            case "items":
                return value is Undefined ? new List<object?>() : ((Callable)Members.Get(Map(), "items", methodsFirst: true, rendering, line)!)([], named, line);
            case "dictsort":
                return Map().OrderBy(entry => entry.Key, StringComparer.OrdinalIgnoreCase).Select(entry => (object?)new List<object?> { entry.Key, entry.Value }).ToList();
            case "first":
                return Elements() is [var first, ..] ? first : new Undefined("first");
            case "last":
                return Elements() is [.., var last] ? last : new Undefined("last");
            case "join":
                return Join(Argument(1, "attribute") is { } attribute ? Elements().Select(item => Attribute(item, attribute)) : Elements(), Values.Text(Argument(0, "d") ?? ""));
            case "reverse":
                return value is string forward ? new string([.. forward.Reverse()]) : Enumerable.Reverse(Elements()).ToList();
            case "sort":
                var by = Argument(2, "attribute");
                var sorted = Elements();
                sorted = [.. sorted.Order(Comparer<object?>.Create((a, b) => Order(Key(a), Key(b))))];

                object? Key(object? item) => Values.IsTrue(Argument(1, "case_sensitive")) ? Part(item) : Folded(Part(item));
                object? Part(object? item) => by is null ? item : Attribute(item, by);
                if (Values.IsTrue(Argument(0, "reverse")))
                    sorted.Reverse();
                return sorted;
            case "unique":
                var distinct = new List<object?>();
                foreach (var item in Elements())
                {
                    if (!Operations.Contains(distinct.ConvertAll(Folded), Folded(item), rendering, line))
                        distinct.Add(item);
                }
                return distinct;
            case "min" or "max":
                var range = Elements();
                return range.Count == 0 ? new Undefined(name) : range.Aggregate((a, b) => Order(Folded(a), Folded(b)) > 0 == (name == "min") ? b : a);
            case "sum":
                return (Argument(0, "attribute") is { } part ? Elements().Select(item => Attribute(item, part)) : Elements())
                    .Aggregate((object?)0L, (sum, item) => Operations.Apply("+", sum, item, rendering, line));
            case "map":
                return named.TryGetValue("attribute", out var key)
                    ? Elements().Select(item => Attribute(item, key) is var found && found is Undefined && named.TryGetValue("default", out var otherwise) ? otherwise : found).ToList()
                    : Elements().Select(item => Apply(Known(arguments.ElementAtOrDefault(0)), item, [.. arguments.Skip(1)], named, rendering, line)).ToList();
            case "select" or "reject":
                return Elements().Where(item => Passes(item, arguments) == (name == "select")).ToList();
            case "selectattr" or "rejectattr":
                return Elements().Where(item => Passes(Attribute(item, arguments.ElementAtOrDefault(0)), [.. arguments.Skip(1)]) == (name == "selectattr")).ToList();
            default:
                throw Error($"uses the filter '{name}', which isn't supported");
        }

        object? Argument(int index, string called) => index < arguments.Count ? arguments[index] : named.GetValueOrDefault(called);

        InputException Error(string what) => rendering.Error(line, what);

        OrderedDictionary<string, object?> Map() => value as OrderedDictionary<string, object?> ?? throw Error($"uses the filter '{name}' on a {Values.TypeOf(value)}");

        List<object?> Elements()
        {
            var elements = Sequence.Of(value) ?? throw Error($"uses the filter '{name}' on a {Values.TypeOf(value)}");
            rendering.Step(line, elements.Count);
            return elements;
        }

        // Order and sameness don't mind case unless asked to.
        object? Folded(object? item) => item is string text ? text.ToLowerInvariant() : item;

        object? Attribute(object? item, object? path) => path is string keys
            ? keys.Split('.').Aggregate(item, (target, part) => Members.Get(target, part, methodsFirst: false, rendering, line))
            : Members.At(item, path, rendering, line);

        bool Passes(object? item, IReadOnlyList<object?> test) => test.ElementAtOrDefault(0) is not string testName
            ? Values.IsTrue(item)
            : Tests.Has(testName) ? Tests.Holds(testName, item, [.. test.Skip(1)], rendering, line) : throw Error($"uses the test '{testName}', which isn't supported");

        string Known(object? filter) => filter is string filterName && Has(filterName) ? filterName : throw Error($"maps by the filter '{Values.Text(filter)}', which isn't supported");

        int Order(object? a, object? b)
        {
            rendering.Step(line);
            return Values.Compare(a, b) ?? throw Error($"sorts a {Values.TypeOf(a)} and a {Values.TypeOf(b)}");
        }

        string Join(IEnumerable<object?> items, string separator)
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

    private static long? ToInteger(object? value) => value switch
    {
        double number when Math.Abs(number) < 1e18 => (long)number,
        string text when long.TryParse(text.Trim(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var parsed) => parsed,
        string text when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var parsed) && Math.Abs(parsed) < 1e18 => (long)parsed,
        _ => Values.Integer(value),
    };
}

/// <summary>What a loop goes over.</summary>
internal static class Sequence
{
    /// <summary>A value's elements, in a list of their own; null where it has none.</summary>
    public static List<object?>? Of(object? value) => value switch
    {
        List<object?> list => [.. list],
        string text => [.. text.EnumerateRunes().Select(rune => rune.ToString())],
        OrderedDictionary<string, object?> map => [.. map.Keys],
        Undefined => [],
        _ => null,
    };
}
