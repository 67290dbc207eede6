using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>The functions that chat templates are given.</summary>
internal static class Globals
{
    private const int LongestRange = 100_000;

    private static readonly FunctionTable Functions = new()
    {
        { "cycler", "*items", call => new Cycler(((PythonTuple)call[0]!).Items is { Count: > 0 } items ? items : throw call.Error("without values")) },
        { "dict", "*args, **kwargs", CollectionMethods.FromArguments },
        { "joiner", "sep=', '", call => new Joiner(call[0]) },
        { "lipsum", "n=5, html=True, min=20, max=100", call => throw call.Error("which writes text at random and isn't supported") },
        { "namespace", "*args, **kwargs", call => new Namespace(CollectionMethods.FromArguments(call)) },
        { "raise_exception", "message", call => throw new TemplateRefusalException(PythonText.Str(call[0])) },
        { "range", "*args", Range },
        { "strftime_now", "format", call => TimeText.Of(call.Rendering.Now, call.Text(0), call) },
    };

    private static readonly Dictionary<string, string> Classes = new()
    {
        ["dict"] = "<class 'dict'>",
        ["cycler"] = "<class 'jinja2.utils.Cycler'>",
        ["joiner"] = "<class 'jinja2.utils.Joiner'>",
        ["namespace"] = "<class 'jinja2.utils.Namespace'>",
    };

    /// <summary>The functions by name.</summary>
    public static IEnumerable<KeyValuePair<string, object?>> All { get; } =
    [
        .. Functions.Select(function => KeyValuePair.Create<string, object?>(
            function.Key, new PythonFunction(function.Key, function.Value.Signature, function.Value.Body, Classes.GetValueOrDefault(function.Key)))),
    ];

    private static object Range(BoundCall call)
    {
        var numbers = ((PythonTuple)call[0]!).Items.Select(number => Numbers.AsInteger(number) ?? throw call.Error($"with a {PythonText.TypeOf(number)}")).ToList();
        var range = numbers switch
        {
            [var stop] => new PythonRange(0, stop, 1),
            [var start, var stop] => new PythonRange(start, stop, 1),
            [var start, var stop, var step] when !step.IsZero => new PythonRange(start, stop, step),
            _ => throw call.Error("with numbers that it can't count by"),
        };
        return range.Count <= LongestRange ? range : throw call.Error($"for more than {LongestRange} numbers");
    }
}
