using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>What values have inside them: attributes, elements and parts. Nothing that could change a value is given out.</summary>
internal static class Attributes
{
    // What every object of Python has and a sandbox gives out to nobody.
    private static readonly HashSet<string> OfAllObjects =
    [
        "__class__", "__delattr__", "__dir__", "__doc__", "__eq__", "__format__", "__ge__", "__getattribute__", "__getitem__", "__gt__", "__hash__", "__init__",
        "__init_subclass__", "__iter__", "__le__", "__len__", "__lt__", "__module__", "__ne__", "__new__", "__reduce__", "__reduce_ex__", "__repr__", "__setattr__",
        "__sizeof__", "__str__", "__subclasshook__",
    ];

    /// <summary><c>target.name</c>: an attribute or method, else what the key stands for; <see cref="Undefined"/> where there is neither.</summary>
    public static object? Get(object? target, string name, Rendering rendering)
    {
        if (IsForbidden(target, name))
            return new Undefined(name);
        RequireDefined(target, name);
        return TryGetAttribute(target, name, out var value) || TryGetElement(target, name, out value, rendering) ? value : new Undefined(name);
    }

    /// <summary><c>target[key]</c>: what the key stands for, else an attribute or method of that name; <see cref="Undefined"/> where there is neither.</summary>
    public static object? Item(object? target, object? key, Rendering rendering)
    {
        RequireDefined(target, PythonText.Str(key));
        if (TryGetElement(target, key, out var value, rendering))
            return value;
        return PythonText.AsText(key) is { } name && !IsForbidden(target, name) && TryGetAttribute(target, name, out value) ? value : new Undefined(PythonText.Str(key));
    }

    /// <summary><c>target[start:stop:step]</c>.</summary>
    public static object? Slice(object? target, object? start, object? stop, object? step, Rendering rendering)
    {
        RequireDefined(target, "a part");
        var text = PythonText.AsText(target);
        if (text is null && target is not (List<object?> or PythonTuple or PythonRange))
            throw new TemplateException($"takes a part of a {PythonText.TypeOf(target)}");
        var by = Bound(step) ?? 1;
        if (by.IsZero)
            throw new TemplateException("takes a part of a value by steps of 0");
        rendering.Step((text?.Length ?? 0) / 256);
        var count = Iteration.Count(target)!.Value;
        var first = Clip(Bound(start), by.Sign > 0 ? 0 : count - 1);
        var last = Clip(Bound(stop), by.Sign > 0 ? count : -1);
        if (target is PythonRange range)
            return new PythonRange(range[first], range[last], range.Step * by);
        var positions = new PythonRange(first, last, by);
        rendering.Step((long)positions.Count / 16);
        if (text is not null)
        {
            var (from, to) = (CodePoints.ToOffset(text, (int)BigInteger.Max(0, first)), CodePoints.ToOffset(text, (int)BigInteger.Max(0, last)));
            var part = by.IsOne ? text[from..Math.Max(from, to)] : EveryNth(text, positions, rendering);
            return target is Markup ? new Markup(part) : part;
        }
        var items = target is PythonTuple tuple ? tuple.Items : (List<object?>)target!;
        var kept = positions.Items.Select(at => items[(int)(BigInteger)at!]).ToList();
        return target is PythonTuple ? new PythonTuple(kept) : kept;

        BigInteger Clip(BigInteger? bound, BigInteger otherwise) => bound is not { } at ? otherwise
            : BigInteger.Max(by.Sign > 0 ? 0 : -1, BigInteger.Min(by.Sign > 0 ? count : count - 1, at.Sign < 0 ? at + count : at));
    }

    private static string EveryNth(string text, PythonRange positions, Rendering rendering)
    {
        rendering.Step(text.Length / Signature.CharactersToAStep);
        string[] characters = [.. CodePoints.Each(text)];
        return string.Concat(positions.Items.Select(at => characters[(int)(BigInteger)at!]));
    }

    private static BigInteger? Bound(object? value) =>
        value is null ? null : Numbers.AsInteger(value) ?? throw new TemplateException($"takes a part of a value from or to a {PythonText.TypeOf(value)}");

    private static void RequireDefined(object? target, string key)
    {
        if (target is Undefined undefined)
            throw new TemplateException($"takes '{key}' of '{undefined.Name}', which is undefined");
    }

    private static bool TryGetElement(object? target, object? key, out object? value, Rendering rendering)
    {
        value = null;
        if (target is PythonDict dict)
            return key is not (List<object?> or PythonDict) && dict.TryGet(key, out value);
        if (target is IIndexedObject indexed)
            return indexed.TryGetItem(key, out value);
        if (Numbers.AsInteger(key) is not { } at || target is not (string or Markup or List<object?> or PythonTuple or PythonRange))
            return false;
        rendering.Step((PythonText.AsText(target)?.Length ?? 0) / 256);
        var count = Iteration.Count(target)!.Value;
        at = at.Sign < 0 ? at + count : at;
        if (at.Sign < 0 || at >= count)
            return false;
        value = target switch
        {
            List<object?> list => list[(int)at],
            PythonTuple tuple => tuple.Items[(int)at],
            PythonRange range => range[at],
            _ => Slice(target, at, at + 1, null, rendering),
        };
        return true;
    }

    private static bool IsForbidden(object? target, string name) => target switch
    {
        List<object?> => name is "append" or "clear" or "pop" or "reverse" or "insert" or "sort" or "extend" or "remove",
        PythonDict => name is "clear" or "pop" or "popitem" or "setdefault" or "update",
        _ => false,
    } || OfAllObjects.Contains(name);

    private static bool TryGetAttribute(object? target, string name, out object? value)
    {
        value = target switch
        {
            string text => TextMethods.Table.GetValueOrDefault(name)?.Of(text, name, "str"),
            Markup markup => MarkupMethods.Find(markup, name),
            List<object?> list => CollectionMethods.OfList.GetValueOrDefault(name)?.Of(list, name, "list"),
            PythonTuple tuple when tuple.Names.Contains(name) => new Found(tuple.Items[tuple.Names.ToList().IndexOf(name)]),
            PythonTuple tuple => CollectionMethods.OfTuple.GetValueOrDefault(name)?.Of(tuple, name, "tuple"),
            PythonDict dict => CollectionMethods.OfDict.GetValueOrDefault(name)?.Of(dict, name, "dict"),
            PythonRange range => CollectionMethods.OfRange(range, name),
            bool or BigInteger => NumberMethods.OfInteger(Numbers.AsInteger(target)!.Value, name),
            double number => NumberMethods.OfFloat(number, name),
            IPythonObject other => other.TryGetAttribute(name, out var attribute) ? new Found(attribute) : null,
            _ => null,
        };
        if (value is Found found)
        {
            value = found.Value;
            return true;
        }
        return value is not null;
    }

    /// <summary>An attribute whose value may be None.</summary>
    private sealed record Found(object? Value);
}

/// <summary>An object that takes keys in brackets.</summary>
internal interface IIndexedObject : IPythonObject
{
    /// <summary>Finds what a key stands for.</summary>
    bool TryGetItem(object? key, out object? value);
}
