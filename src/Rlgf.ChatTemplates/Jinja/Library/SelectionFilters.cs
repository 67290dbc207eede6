namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Filters that use other filters and tests on every element, one when it is asked for.</summary>
internal static class SelectionFilters
{
    /// <summary>The filters by name.</summary>
    public static FunctionTable Table { get; } = new()
    {
        { "map", "value, *args, **kwargs", call => new PythonIterator("generator", Map(call), "sync_do_map") },
        { "select", "value, *args, **kwargs", call => Select(call, isKept: true, byAttribute: false) },
        { "reject", "value, *args, **kwargs", call => Select(call, isKept: false, byAttribute: false) },
        { "selectattr", "value, *args, **kwargs", call => Select(call, isKept: true, byAttribute: true) },
        { "rejectattr", "value, *args, **kwargs", call => Select(call, isKept: false, byAttribute: true) },
    };

    private static IEnumerable<object?> Map(BoundCall call)
    {
        if (!call.IsTrue(0))
            yield break;
        var change = Change(call);
        foreach (var item in call.Elements(0))
            yield return call.Rendering.Made(change(item));
    }

    private static Func<object?, object?> Change(BoundCall call)
    {
        var (arguments, named) = (((PythonTuple)call[1]!).Items, Named(call));
        if (arguments.Count == 0 && named.Remove("attribute", out var attribute))
        {
            named.Remove("default", out var otherwise);
            return named.Count == 0
                ? AttributePath.Key(attribute, isFolded: false, call.Rendering, otherwise)
                : throw call.Error($"with '{named.First().Key}', which it doesn't take");
        }
        if (arguments.Count == 0)
            throw call.Error("without a filter");
        var rest = new CallArguments([.. arguments.Skip(1)], named);
        return item => FilterTable.Apply(PythonText.Str(arguments[0]), rest.After(item), call.Rendering);
    }

    private static PythonIterator Select(BoundCall call, bool isKept, bool byAttribute) => new("generator", Selected(call, isKept, byAttribute), "select_or_reject");

    private static IEnumerable<object?> Selected(BoundCall call, bool isKept, bool byAttribute)
    {
        if (!call.IsTrue(0))
            yield break;
        var arguments = ((PythonTuple)call[1]!).Items.ToList();
        if (byAttribute && arguments.Count == 0)
            throw call.Error("without an attribute");
        var part = AttributePath.Key(byAttribute ? arguments[0] : null, isFolded: false, call.Rendering);
        arguments.RemoveRange(0, byAttribute ? 1 : 0);
        var rest = new CallArguments([.. arguments.Skip(1)], Named(call));
        foreach (var item in call.Elements(0))
        {
            var value = part(item);
            if ((arguments.Count == 0 ? Truth.Of(value) : TestTable.Holds(PythonText.Str(arguments[0]), rest.After(value), call.Rendering)) == isKept)
                yield return item;
        }
    }

    private static Dictionary<string, object?> Named(BoundCall call) => ((PythonDict)call[2]!).ToDictionary(entry => (string)entry.Key!, entry => entry.Value);
}
