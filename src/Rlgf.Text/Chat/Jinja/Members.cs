namespace Rlgf.Text.Chat.Jinja;

/// <summary>What values have inside them: keys, elements and the methods of Python's types that templates use. None of them changes its value.</summary>
internal static class Members
{
    /// <summary>What a key stands for.</summary>
    /// <param name="target">The value.</param>
    /// <param name="key">The key.</param>
    /// <param name="methodsFirst">Whether a method of that name comes before a key of a dictionary.</param>
    /// <param name="rendering">The use of the template.</param>
    /// <param name="line">Where it is asked for.</param>
    /// <returns><see cref="Undefined"/> where there is no such thing.</returns>
    public static object? Get(object? target, string key, bool methodsFirst, Rendering rendering, int line)
    {
        switch (target)
        {
            case Undefined undefined:
                throw rendering.Error(line, $"takes '{key}' of '{undefined.Name}', which is undefined");
            case Namespace space:
                return space.Values.TryGetValue(key, out var kept) ? kept : new Undefined(key);
            case Loop loop:
                return loop.Get(key, rendering);
            case OrderedDictionary<string, object?> map:
                if (methodsFirst && MapMethod(map, key, rendering) is { } method)
                    return method;
                return map.TryGetValue(key, out var value) ? value : MapMethod(map, key, rendering) ?? (object)new Undefined(key);
            case string text:
                return TextMethod(text, key, rendering) ?? (object)new Undefined(key);
            default:
                return new Undefined(key);
        }
    }

    /// <summary>The element at a position or under a key.</summary>
    public static object? At(object? target, object? key, Rendering rendering, int line)
    {
        if (key is string name)
            return Get(target, name, methodsFirst: false, rendering, line);
        if (Values.Integer(key) is not { } at)
            throw rendering.Error(line, $"takes an element by a {Values.TypeOf(key)}");
        var count = target switch
        {
            List<object?> list => list.Count,
            string text => text.Length,
            OrderedDictionary<string, object?> or Namespace => 0,
            _ => throw rendering.Error(line, $"takes element {at} of a {Values.TypeOf(target)}"),
        };
        at = at < 0 ? at + count : at;
        if (at < 0 || at >= count)
            return new Undefined($"element {at}");
        return target is List<object?> elements ? elements[(int)at] : ((string)target!)[(int)at].ToString();
    }

    private static Callable? MapMethod(OrderedDictionary<string, object?> map, string name, Rendering rendering) => name switch
    {
        "items" => (_, _, line) => Counted(map.Select(entry => (object?)new List<object?> { entry.Key, entry.Value }), map.Count, rendering, line),
        "keys" => (_, _, line) => Counted(map.Keys, map.Count, rendering, line),
        "values" => (_, _, line) => Counted(map.Values, map.Count, rendering, line),
        "get" => (arguments, _, line) => arguments switch
        {
            [string key] => map.GetValueOrDefault(key),
            [string key, var otherwise] => map.GetValueOrDefault(key, otherwise),
            _ => throw rendering.Error(line, "calls get() without a text"),
        },
        _ => null,
    };

    private static List<object?> Counted(IEnumerable<object?> items, int count, Rendering rendering, int line)
    {
        rendering.Step(line, count);
        return [.. items];
    }

    private static Callable? TextMethod(string text, string name, Rendering rendering)
    {
        switch (name)
        {
            case "strip":
            case "lstrip":
            case "rstrip":
                return (arguments, _, line) => Stripped(text, name, arguments, rendering, line);
            case "upper":
                return (_, _, _) => text.ToUpperInvariant();
            case "lower":
                return (_, _, _) => text.ToLowerInvariant();
            case "title":
                return (_, _, _) => TextChanges.Title(text);
            case "capitalize":
                return (_, _, _) => TextChanges.Capitalized(text);
            case "startswith":
                return (arguments, _, line) => Any(arguments, prefix => text.StartsWith(prefix, StringComparison.Ordinal), name, rendering, line);
            case "endswith":
                return (arguments, _, line) => Any(arguments, suffix => text.EndsWith(suffix, StringComparison.Ordinal), name, rendering, line);
            case "find":
                return (arguments, _, line) => (long)text.IndexOf(TextOf(arguments, 0, name, rendering, line), StringComparison.Ordinal);
            case "count":
                return (arguments, _, line) => (long)(TextChanges.Split(text, TextOf(arguments, 0, name, rendering, line), -1, rendering, line).Count - 1);
            case "replace":
                return (arguments, _, line) =>
                    TextChanges.Replace(text, TextOf(arguments, 0, name, rendering, line), TextOf(arguments, 1, name, rendering, line), arguments.ElementAtOrDefault(2), rendering, line);
            case "split":
                return (arguments, named, line) => TextChanges.Split(
                    text,
                    arguments.ElementAtOrDefault(0) as string,
                    Values.Integer(arguments.ElementAtOrDefault(1)) ?? Values.Integer(named.GetValueOrDefault("maxsplit")) ?? -1,
                    rendering,
                    line);
            case "join":
                return (arguments, _, line) => Filters.Apply("join", arguments.ElementAtOrDefault(0), [text], new Dictionary<string, object?>(), rendering, line);
            default:
                return null;
        }
    }

    private static string Stripped(string text, string name, IReadOnlyList<object?> arguments, Rendering rendering, int line)
    {
        char[]? characters = arguments.Count == 0 || arguments[0] is null ? null : TextOf(arguments, 0, name, rendering, line).ToCharArray();
        return name switch
        {
            "strip" => text.Trim(characters),
            "lstrip" => text.TrimStart(characters),
            _ => text.TrimEnd(characters),
        };
    }

    private static bool Any(IReadOnlyList<object?> arguments, Func<string, bool> holds, string name, Rendering rendering, int line) =>
        arguments is [List<object?> several] ? several.OfType<string>().Any(holds) : holds(TextOf(arguments, 0, name, rendering, line));

    private static string TextOf(IReadOnlyList<object?> arguments, int index, string name, Rendering rendering, int line) =>
        arguments.ElementAtOrDefault(index) as string ?? throw rendering.Error(line, $"calls {name}() without a text as argument {index + 1}");
}
