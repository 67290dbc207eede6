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
        rendering.Made(new FilterCall(name, value, arguments, named, rendering, line).Result(), line);
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
