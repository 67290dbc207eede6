using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>The methods of Python's <c>list</c>, <c>tuple</c>, <c>dict</c> and <c>range</c> that change nothing.</summary>
internal static class CollectionMethods
{
    /// <summary>Those of lists.</summary>
    public static MethodTable<List<object?>> OfList { get; } = new()
    {
        { "copy", "", (list, call) => Copied(list, call) },
        { "count", "value, /", (list, call) => Count(list, call) },
        { "index", "value, start=0, stop=9223372036854775807, /", Index },
    };

    /// <summary>Those of tuples.</summary>
    public static MethodTable<PythonTuple> OfTuple { get; } = new()
    {
        { "count", "value, /", (tuple, call) => Count(tuple.Items, call) },
        { "index", "value, start=0, stop=9223372036854775807, /", (tuple, call) => Index(tuple.Items, call) },
    };

    /// <summary>Those of dictionaries.</summary>
    public static MethodTable<PythonDict> OfDict { get; } = new()
    {
        { "copy", "", (dict, _) => Merged([dict]) },
        { "fromkeys", "iterable, value=None, /", FromKeys },
        { "get", "key, default=None, /", (dict, call) => dict.TryGet(call[0], out var value) ? value : call[1] },
        { "items", "", (dict, _) => new DictView(dict, "items") },
        { "keys", "", (dict, _) => new DictView(dict, "keys") },
        { "values", "", (dict, _) => new DictView(dict, "values") },
    };

    /// <summary>An attribute or method of a range; null where there is none of that name.</summary>
    public static object? OfRange(PythonRange range, string name) => name switch
    {
        "start" => range.Start,
        "stop" => range.Stop,
        "step" => range.Step,
        "count" or "index" => OfList[name].Of([.. range.Items], name, "range"),
        _ => null,
    };

    /// <summary>A dictionary from what <c>dict()</c> and <c>namespace()</c> take: another one or pairs, and values by name.</summary>
    public static PythonDict FromArguments(BoundCall call)
    {
        var (positional, named) = ((PythonTuple)call[0]!, (PythonDict)call[1]!);
        if (positional.Items.Count > 1)
            throw call.Error("with more than one value without a name");
        if (positional.Items.Count == 0)
            return named;
        if (positional.Items[0] is PythonDict other)
            return Merged([other, named]);
        var dict = new PythonDict();
        foreach (var item in Iteration.Of(positional.Items[0], call.Rendering) ?? throw call.Error($"with a {PythonText.TypeOf(positional.Items[0])}"))
        {
            if (Iteration.Of(item, call.Rendering)?.Take(3).ToList() is not [var key, var value])
                throw call.Error("with something else than pairs");
            dict[key] = value;
        }
        return Merged([dict, named]);
    }

    private static PythonDict Merged(IEnumerable<PythonDict> dicts)
    {
        var merged = new PythonDict();
        foreach (var (key, value) in dicts.SelectMany(dict => dict))
            merged[key] = value;
        return merged;
    }

    private static List<object?> Copied(IReadOnlyList<object?> items, BoundCall call)
    {
        call.Rendering.Step(items.Count);
        return [.. items];
    }

    private static object Count(IReadOnlyList<object?> items, BoundCall call)
    {
        call.Rendering.Step(items.Count);
        return (BigInteger)items.Count(item => Equality.AreEqual(item, call[0]));
    }

    private static object Index(IReadOnlyList<object?> items, BoundCall call)
    {
        call.Rendering.Step(items.Count);
        var (start, stop) = (Bound(1), Bound(2));
        for (var i = start; i < Math.Min(stop, items.Count); i++)
        {
            if (Equality.AreEqual(items[i], call[0]))
                return (BigInteger)i;
        }
        throw call.Error($"for {PythonText.Repr(call[0])}, which isn't there");

        int Bound(int index) => call.Integer(index) is < 0 and var at ? Math.Max(0, at + items.Count) : call.Integer(index);
    }

    private static PythonDict FromKeys(PythonDict dict, BoundCall call)
    {
        var made = new PythonDict();
        foreach (var key in call.Elements(0))
            made[key] = call[1];
        return made;
    }
}
