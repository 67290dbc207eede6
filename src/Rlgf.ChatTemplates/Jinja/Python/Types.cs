using System.Collections;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Rlgf.ChatTemplates.Jinja;

// Python's values as templates see them: null (None), bool, BigInteger (int), double (float), string (str), List<object?> (list), and the types of this file.

/// <summary>The value of a name that has none: it writes nothing and is false and empty; anything else that is done with it is an error.</summary>
/// <param name="Name">What was asked for.</param>
internal sealed record Undefined(string Name);

/// <summary>Text that is HTML already, which escaping leaves alone: Python's <c>Markup</c>, a kind of str.</summary>
/// <param name="Text">The HTML.</param>
internal sealed record Markup(string Text);

/// <summary>A tuple.</summary>
/// <param name="items">Its elements.</param>
/// <param name="names">Names of the elements, where they have some.</param>
internal sealed class PythonTuple(IReadOnlyList<object?> items, IReadOnlyList<string>? names = null)
{
    /// <summary>The elements.</summary>
    public IReadOnlyList<object?> Items { get; } = items;

    /// <summary>Names of the elements, where they have some.</summary>
    public IReadOnlyList<string> Names { get; } = names ?? [];

    /// <summary>A tuple of some values.</summary>
    public static PythonTuple Of(params object?[] items) => new(items);
}

/// <summary>A dictionary, in the order of insertion. Keys are equal as Python has it: 1, 1.0 and true are one key.</summary>
internal sealed class PythonDict : IEnumerable<KeyValuePair<object?, object?>>
{
    private readonly OrderedDictionary<Key, object?> _entries = [];

    /// <summary>How many entries there are.</summary>
    public int Count => _entries.Count;

    /// <summary>The keys in order.</summary>
    public IEnumerable<object?> Keys => _entries.Keys.Select(key => key.Value);

    /// <summary>The values in the order of the keys.</summary>
    public IEnumerable<object?> Values => _entries.Values;

    /// <summary>Sets the value of a key; a key that is there already keeps its place and its own spelling.</summary>
    public object? this[object? key]
    {
        set => _entries[new Key(key)] = value;
    }

    /// <summary>A dictionary with texts as keys.</summary>
    public static PythonDict Of(IEnumerable<KeyValuePair<string, object?>> entries)
    {
        var dict = new PythonDict();
        foreach (var (key, value) in entries)
            dict[key] = value;
        return dict;
    }

    /// <summary>Looks a key up.</summary>
    /// <exception cref="TemplateException">The key can't be one.</exception>
    public bool TryGet(object? key, out object? value) => _entries.TryGetValue(new Key(key), out value);

    /// <inheritdoc/>
    public IEnumerator<KeyValuePair<object?, object?>> GetEnumerator() => _entries.Select(entry => KeyValuePair.Create(entry.Key.Value, entry.Value)).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private readonly record struct Key(object? Value)
    {
        public bool Equals(Key other) => Equality.AreEqual(Value, other.Value);

        public override int GetHashCode() => Equality.Hash(Value);
    }
}

/// <summary>What <c>keys()</c>, <c>values()</c> and <c>items()</c> of a dictionary give.</summary>
/// <param name="dict">The dictionary.</param>
/// <param name="kind"><c>keys</c>, <c>values</c> or <c>items</c>.</param>
internal sealed class DictView(PythonDict dict, string kind)
{
    /// <summary>The dictionary.</summary>
    public PythonDict Dict { get; } = dict;

    /// <summary><c>keys</c>, <c>values</c> or <c>items</c>.</summary>
    public string Kind { get; } = kind;

    /// <summary>What it shows.</summary>
    public IEnumerable<object?> Items => Kind switch
    {
        "keys" => Dict.Keys,
        "values" => Dict.Values,
        _ => Dict.Select(entry => (object?)PythonTuple.Of(entry.Key, entry.Value)),
    };
}

/// <summary>Whole numbers at equal distances.</summary>
/// <param name="start">The first.</param>
/// <param name="stop">The first one that isn't in it any more.</param>
/// <param name="step">The distance; not 0.</param>
internal sealed class PythonRange(BigInteger start, BigInteger stop, BigInteger step)
{
    /// <summary>The first number.</summary>
    public BigInteger Start { get; } = start;

    /// <summary>The first one that isn't in it any more.</summary>
    public BigInteger Stop { get; } = stop;

    /// <summary>The distance.</summary>
    public BigInteger Step { get; } = step;

    /// <summary>How many numbers it has.</summary>
    public BigInteger Count { get; } = step > 0
        ? BigInteger.Max(0, (stop - start + step - 1) / step)
        : BigInteger.Max(0, (start - stop - step - 1) / -step);

    /// <summary>The numbers.</summary>
    public IEnumerable<object?> Items
    {
        get
        {
            var at = Start;
            for (BigInteger i = 0; i < Count; i++, at += Step)
                yield return at;
        }
    }

    /// <summary>The number at a position.</summary>
    public BigInteger this[BigInteger position] => Start + position * Step;
}

/// <summary>An iterator: it is gone through once, and only as far as somebody asks.</summary>
/// <param name="type">What Python calls its type.</param>
/// <param name="items">What it gives.</param>
/// <param name="function">The function that makes a generator.</param>
internal sealed class PythonIterator(string type, IEnumerable<object?> items, string? function = null) : IDisposable
{
    private readonly IEnumerator<object?> _items = items.GetEnumerator();

    /// <summary>What Python calls its type.</summary>
    public string Type { get; } = type;

    /// <summary>How it prints.</summary>
    public string Repr => $"<{Type}{(Type == "generator" ? " object " + function : " object")} at {PythonText.Address}>";

    /// <summary>What is left of it.</summary>
    public IEnumerable<object?> Rest
    {
        get
        {
            while (true)
            {
                // Iterators of iterators go as deep as they are nested.
                RuntimeHelpers.EnsureSufficientExecutionStack();
                if (!_items.MoveNext())
                    yield break;
                yield return _items.Current;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _items.Dispose();
}

/// <summary>A value of a kind of its own: what only templates have, such as <c>loop</c>.</summary>
internal interface IPythonObject
{
    /// <summary>What Python calls its type.</summary>
    string TypeName { get; }

    /// <summary>Its <c>repr()</c>.</summary>
    string Repr();

    /// <summary>Finds an attribute.</summary>
    bool TryGetAttribute(string name, out object? value);
}

/// <summary>Something that can be called.</summary>
internal interface ICallable : IPythonObject
{
    /// <summary>Calls it.</summary>
    object? Call(CallArguments arguments, Jinja.Rendering rendering);
}
