using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Which values count as true.</summary>
internal static class Truth
{
    /// <summary>Python's <c>bool()</c>.</summary>
    public static bool Of(object? value) => value switch
    {
        null or Undefined => false,
        bool flag => flag,
        BigInteger number => !number.IsZero,
        double number => number != 0,
        string text => text.Length > 0,
        Markup markup => markup.Text.Length > 0,
        _ => Iteration.Count(value) is not { IsZero: true },
    };
}

/// <summary>What values hold.</summary>
internal static class Iteration
{
    /// <summary>Python's <c>len()</c>; null where a value has no length.</summary>
    public static BigInteger? Count(object? value) => value switch
    {
        string text => CodePoints.Count(text),
        Markup markup => CodePoints.Count(markup.Text),
        List<object?> list => list.Count,
        PythonTuple tuple => tuple.Items.Count,
        PythonDict dict => dict.Count,
        DictView view => view.Dict.Count,
        PythonRange range => range.Count,
        Undefined => 0,
        LoopContext loop => loop.Length,
        _ => null,
    };

    /// <summary>Python's <c>iter()</c>: the elements, each counted as a step when it is asked for; null where a value has none.</summary>
    public static IEnumerable<object?>? Of(object? value, Rendering rendering)
    {
        IEnumerable<object?>? items = value switch
        {
            string text => CodePoints.Each(text),
            // Its elements are plain text, as Markup says nothing of iteration.
            Markup markup => CodePoints.Each(markup.Text),
            List<object?> list => list,
            PythonTuple tuple => tuple.Items,
            PythonDict dict => dict.Keys,
            DictView view => view.Items,
            PythonRange range => range.Items,
            PythonIterator iterator => iterator.Rest,
            LoopContext loop => loop.Rounds,
            Undefined => [],
            _ => null,
        };
        return items is null ? null : Counted(items, rendering);
    }

    private static IEnumerable<object?> Counted(IEnumerable<object?> items, Rendering rendering)
    {
        foreach (var item in items)
        {
            rendering.Step();
            yield return item;
        }
    }
}
