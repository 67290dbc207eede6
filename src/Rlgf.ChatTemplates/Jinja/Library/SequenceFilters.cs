using System.Numerics;
using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Filters that take values with elements apart or put them together.</summary>
internal static class SequenceFilters
{
    private static readonly string[] GroupNames = ["grouper", "list"];

    /// <summary>The filters by name.</summary>
    public static FunctionTable Table { get; } = new()
    {
        { "attr", "obj, name", Attribute },
        { "batch", "value, linecount, fill_with=None", call => Lazy(Batches(call), "do_batch") },
        { "count", "obj, /", Length },
        { "d", "value, default_value='', boolean=False", Default },
        { "default", "value, default_value='', boolean=False", Default },
        { "dictsort", "value, case_sensitive=False, by='key', reverse=False", SortDict },
        { "first", "seq", call => First(call.Elements(0), "the first element of nothing") },
        { "groupby", "value, attribute, default=None, case_sensitive=False", GroupBy },
        { "items", "value", call => Lazy(Items(call), "do_items") },
        { "join", "value, d='', attribute=None", Join },
        { "last", "seq", call => First(Reversed(call) ?? throw call.Wrong(0, "a value that can be gone through backwards"), "the last element of nothing") },
        { "length", "obj, /", Length },
        { "list", "value", call => call.Elements(0).ToList() },
        { "max", "value, case_sensitive=False, attribute=None", call => Extreme(call, isLeast: false) },
        { "min", "value, case_sensitive=False, attribute=None", call => Extreme(call, isLeast: true) },
        { "random", "seq", Random },
        { "reverse", "value", Reverse },
        { "slice", "value, slices, fill_with=None", call => Lazy(Slices(call), "sync_do_slice") },
        { "sort", "value, reverse=False, case_sensitive=False, attribute=None", Sort },
        { "sum", "iterable, attribute=None, start=0", Sum },
        { "unique", "value, case_sensitive=False, attribute=None", call => Lazy(Unique(call), "sync_do_unique") },
    };

    /// <summary>An attribute, but not what a key of that name stands for.</summary>
    private static object? Attribute(BoundCall call) => call[0] is PythonDict && !CollectionMethods.OfDict.ContainsKey(call.Text(1))
        ? new Undefined(call.Text(1))
        : Attributes.Get(call[0], call.Text(1), call.Rendering);

    private static PythonIterator Lazy(IEnumerable<object?> items, string function) => new("generator", items, function);

    private static object Length(BoundCall call) => Iteration.Count(call[0]) ?? throw call.Wrong(0, "a value that has a length");

    private static object? Default(BoundCall call) => call[0] is Undefined || (call.IsTrue(2) && !call.IsTrue(0)) ? call[1] : call[0];

    private static object? First(IEnumerable<object?> items, string what)
    {
        foreach (var item in items)
            return item;
        return new Undefined(what);
    }

    private static IEnumerable<object?> Items(BoundCall call)
    {
        if (call[0] is not (PythonDict or Undefined))
            throw call.Wrong(0, "a dict");
        return call[0] is PythonDict dict ? Iteration.Of(new DictView(dict, "items"), call.Rendering)! : [];
    }

    /// <summary>The elements backwards; null for what can only be gone through once.</summary>
    private static IEnumerable<object?>? Reversed(BoundCall call) => call[0] is PythonRange range
        ? new PythonRange(range[range.Count - 1], range.Start - range.Step, -range.Step).Items
        : call[0] is string or Markup or List<object?> or PythonTuple or PythonDict or DictView or Undefined ? call.Elements(0).Reverse() : null;

    private static object? Reverse(BoundCall call)
    {
        if (call[0] is string or Markup)
            return Attributes.Slice(call[0], null, null, BigInteger.MinusOne, call.Rendering);
        var type = call[0] switch
        {
            List<object?> => "list_reverseiterator",
            PythonDict => "dict_reversekeyiterator",
            DictView view => $"dict_reverse{view.Kind.TrimEnd('s')}iterator",
            PythonRange => "range_iterator",
            _ => "reversed",
        };
        return Reversed(call) is { } reversed ? new PythonIterator(type, reversed) : call.Elements(0).Reverse().ToList();
    }

    private static object? Random(BoundCall call)
    {
        var count = Iteration.Count(call[0]) ?? throw call.Wrong(0, "a value that has a length");
        if (count.IsZero)
            return new Undefined("a random element of nothing");
        // The same in every rendering: what is drawn depends on the line alone, so that a run can be repeated.
        return Attributes.Item(call[0], new BigInteger(new Random(call.Rendering.Line).Next((int)count)), call.Rendering);
    }

    private static IEnumerable<object?> Batches(BoundCall call)
    {
        var size = call.Integer(1);
        var batch = new List<object?>();
        foreach (var item in call.Elements(0))
        {
            if (batch.Count == size)
            {
                yield return batch;
                batch = [];
            }
            batch.Add(item);
        }
        if (batch.Count == 0)
            yield break;
        if (call[2] is not null && batch.Count < size)
        {
            call.Rendering.RequireSize(size);
            batch.AddRange(Enumerable.Repeat(call[2], size - batch.Count));
        }
        yield return batch;
    }

    private static IEnumerable<object?> Slices(BoundCall call)
    {
        var items = call.Elements(0).ToList();
        var slices = call.Integer(1);
        if (slices == 0)
            throw call.Error("for 0 slices");
        var start = 0;
        for (var i = 0; i < slices; i++)
        {
            call.Rendering.Step();
            var count = items.Count / slices + (i < items.Count % slices ? 1 : 0);
            var slice = items.GetRange(start, count);
            start += count;
            if (call[2] is not null && i >= items.Count % slices)
                slice.Add(call[2]);
            yield return slice;
        }
    }

    private static object? Extreme(BoundCall call, bool isLeast)
    {
        var key = AttributePath.Key(call[2], isFolded: !call.IsTrue(1), call.Rendering);
        (object? Item, object? Key)? best = null;
        foreach (var item in call.Elements(0))
        {
            var candidate = key(item);
            if (best is null || Equality.IsOrdered(isLeast ? "<" : ">", candidate, best.Value.Key))
                best = (item, candidate);
        }
        return best is null ? new Undefined($"the {(isLeast ? "least" : "greatest")} element of nothing") : best.Value.Item;
    }

    private static List<object?> Sort(BoundCall call)
    {
        var attributes = PythonText.AsText(call[3])?.Split(',') ?? (object?[])[call[3]];
        var keys = attributes.Select(attribute => AttributePath.Key(attribute, isFolded: !call.IsTrue(2), call.Rendering)).ToList();
        return Sorting.By(call.Elements(0), item => keys.ConvertAll(key => key(item)), call.IsTrue(1), call.Rendering);
    }

    private static List<object?> SortDict(BoundCall call)
    {
        var by = call.Text(2) switch { "key" => 0, "value" => 1, var other => throw call.Error($"by {PythonText.Quoted(other)}; it sorts by key or value") };
        var items = new DictView(call[0] as PythonDict ?? throw call.Wrong(0, "a dict"), "items").Items;
        var key = AttributePath.Key(null, isFolded: !call.IsTrue(1), call.Rendering);
        return Sorting.By(items, item => key(((PythonTuple)item!).Items[by]), call.IsTrue(3), call.Rendering);
    }

    private static List<object?> GroupBy(BoundCall call)
    {
        var exact = AttributePath.Key(call[1], isFolded: false, call.Rendering, call[2]);
        var key = AttributePath.Key(call[1], isFolded: !call.IsTrue(3), call.Rendering, call[2]);
        var groups = new List<object?>();
        (object? Key, List<object?> Items)? group = null;
        foreach (var item in Sorting.By(call.Elements(0), key, isReversed: false, call.Rendering))
        {
            var next = key(item);
            if (group is null || !Equality.AreEqual(group.Value.Key, next))
            {
                group = (next, []);
                groups.Add(new PythonTuple([exact(item), group.Value.Items], GroupNames));
            }
            group.Value.Items.Add(item);
        }
        return groups;
    }

    private static object Join(BoundCall call)
    {
        var items = call[2] is null ? call.Elements(0) : call.Elements(0).Select(AttributePath.Key(call[2], isFolded: false, call.Rendering));
        if (call.Rendering.Escapes)
            return JoinHtml([.. items], call);
        var (joined, separator, isFirst) = (new StringBuilder(), PythonText.Str(call[1]), true);
        foreach (var item in items)
        {
            joined.Append(isFirst ? "" : separator).Append(PythonText.Str(item));
            call.Rendering.RequireSize(joined.Length);
            isFirst = false;
        }
        return joined.ToString();
    }

    private static object JoinHtml(List<object?> items, BoundCall call)
    {
        call.Rendering.RequireSize(items.Sum(item => (PythonText.AsText(item)?.Length ?? 100L) + PythonText.Str(call[1]).Length));
        return call[1] is Markup || items.Exists(item => item is Markup)
            ? new Markup(string.Join(Html.Escape(call[1]), items.Select(Html.Escape)))
            : string.Join(PythonText.Str(call[1]), items.Select(PythonText.Str));
    }

    private static object? Sum(BoundCall call)
    {
        var key = AttributePath.Key(call[1], isFolded: false, call.Rendering);
        if (PythonText.AsText(call[2]) is not null)
            throw call.Wrong(2, "no str");
        return call.Elements(0).Aggregate(call[2], (sum, item) => Arithmetic.Apply("+", sum, key(item), call.Rendering));
    }

    private static IEnumerable<object?> Unique(BoundCall call)
    {
        var key = AttributePath.Key(call[2], isFolded: !call.IsTrue(1), call.Rendering);
        var seen = new PythonDict();
        foreach (var item in call.Elements(0))
        {
            var value = key(item);
            if (seen.TryGet(value, out _))
                continue;
            seen[value] = null;
            yield return item;
        }
    }
}
