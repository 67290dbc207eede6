using System.Globalization;
using System.Numerics;
using System.Text.RegularExpressions;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>The arguments of a call.</summary>
/// <param name="Positional">Those without a name.</param>
/// <param name="Named">Those with one.</param>
internal sealed record CallArguments(IReadOnlyList<object?> Positional, IReadOnlyDictionary<string, object?> Named)
{
    /// <summary>No arguments.</summary>
    public static CallArguments None { get; } = new([], new Dictionary<string, object?>());

    /// <summary>With a value before the others.</summary>
    public CallArguments After(object? first) => this with { Positional = [first, .. Positional] };
}

/// <summary>What a function takes, written as Python writes it: <c>old, new, count=-1, /</c>. Anything else in a call is refused by name.</summary>
internal sealed partial class Signature
{
    /// <summary>Work on a text takes as many steps as it has characters, divided by this.</summary>
    public const int CharactersToAStep = 32;

    private readonly string[] _names;
    private readonly object?[] _defaults;
    private readonly int _positionalOnly;
    private readonly string? _rest;
    private readonly string? _namedRest;

    /// <summary>Reads a signature.</summary>
    /// <param name="text">Parameters with commas between: <c>name</c>, <c>name=default</c>, <c>*rest</c>, <c>**rest</c>; those before <c>/</c> have no name for callers.</param>
    public Signature(string text)
    {
        var names = new List<string>();
        var defaults = new List<object?>();
        foreach (var parameter in Parameters().Split(text).Where(part => part.Length > 0))
        {
            if (parameter == "/")
                _positionalOnly = names.Count;
            else if (parameter.StartsWith("**", StringComparison.Ordinal))
                _namedRest = parameter[2..];
            else if (parameter.StartsWith('*'))
                _rest = parameter[1..];
            else
                Add(parameter.Split('=', 2));
        }
        (_names, _defaults) = ([.. names], [.. defaults]);

        void Add(string[] parts)
        {
            names.Add(parts[0]);
            defaults.Add(parts.Length == 1 ? Required.Instance : Default(parts[1]));
        }
    }

    /// <summary>Gives every parameter its value: those of the signature in order, then the rest by position, then the rest by name.</summary>
    /// <param name="function">How errors call the function.</param>
    /// <param name="arguments">What the caller gives.</param>
    /// <param name="rendering">The use of the template.</param>
    /// <exception cref="TemplateException">The call has too much or too little.</exception>
    public BoundCall Bind(string function, CallArguments arguments, Rendering rendering)
    {
        foreach (var argument in arguments.Positional)
            rendering.Step((PythonText.AsText(argument)?.Length ?? 0) / CharactersToAStep);
        var values = new List<object?>(_defaults);
        var given = arguments.Positional.Count;
        if (given > _names.Length && _rest is null)
            throw new TemplateException($"calls {function} with {given} arguments; it takes {_names.Length}");
        for (var i = 0; i < Math.Min(given, _names.Length); i++)
            values[i] = arguments.Positional[i];
        var more = new PythonDict();
        foreach (var (name, value) in arguments.Named)
        {
            var at = Array.IndexOf(_names, name);
            if (at >= _positionalOnly && at < given)
                throw new TemplateException($"calls {function} with two values for '{name}'");
            if (at >= _positionalOnly)
                values[at] = value;
            else if (_namedRest is not null)
                more[name] = value;
            else
                throw new TemplateException($"calls {function} with '{name}', which it doesn't take");
        }
        var missing = values.IndexOf(Required.Instance);
        if (missing >= 0)
            throw new TemplateException($"calls {function} without '{_names[missing]}'");
        if (_rest is not null)
            values.Add(new PythonTuple([.. arguments.Positional.Skip(_names.Length)]));
        if (_namedRest is not null)
            values.Add(more);
        return new BoundCall(function, _names, values, rendering);
    }

    private static object? Default(string text) => text switch
    {
        "None" => null,
        "True" => true,
        "False" => false,
        _ when text.StartsWith('\'') => text[1..^1],
        _ when text.Contains('.', StringComparison.Ordinal) => double.Parse(text, CultureInfo.InvariantCulture),
        _ => BigInteger.Parse(text, CultureInfo.InvariantCulture),
    };

    // Commas, but for those in quotes.
    [GeneratedRegex("(?<!'), |, (?!')")]
    private static partial Regex Parameters();

    private sealed class Required
    {
        public static Required Instance { get; } = new();
    }
}

/// <summary>A call whose arguments are in the order of the signature.</summary>
/// <param name="function">How errors call the function.</param>
/// <param name="names">Names of the arguments.</param>
/// <param name="values">The arguments.</param>
/// <param name="rendering">The use of the template.</param>
internal sealed class BoundCall(string function, IReadOnlyList<string> names, IReadOnlyList<object?> values, Rendering rendering)
{
    /// <summary>How errors call the function.</summary>
    public string Function { get; } = function;

    /// <summary>The use of the template.</summary>
    public Rendering Rendering { get; } = rendering;

    /// <summary>An argument.</summary>
    public object? this[int index] => values[index];

    /// <summary>An argument that must be a text.</summary>
    public string Text(int index) => PythonText.AsText(values[index]) ?? throw Wrong(index, "a str");

    /// <summary>An argument that may be left out or None and must else be a text.</summary>
    public string? OptionalText(int index) => values[index] is null ? null : Text(index);

    /// <summary>An argument that must be a whole number; of larger ones only that they are large counts.</summary>
    public int Integer(int index) => (int)BigInteger.Max(int.MinValue, BigInteger.Min(int.MaxValue, WholeNumber(index)));

    /// <summary>An argument that must be a whole number.</summary>
    public BigInteger WholeNumber(int index) => Numbers.AsInteger(values[index]) ?? throw Wrong(index, "an int");

    /// <summary>Whether an argument is true.</summary>
    public bool IsTrue(int index) => Truth.Of(values[index]);

    /// <summary>The elements of an argument.</summary>
    public IEnumerable<object?> Elements(int index) => Iteration.Of(values[index], Rendering)
        ?? throw new TemplateException($"calls {Function} with a {PythonText.TypeOf(values[index])} as '{NameOf(index)}', which has no elements");

    /// <summary>The error to throw about an argument.</summary>
    public TemplateException Wrong(int index, string needed) =>
        new($"calls {Function} with a {PythonText.TypeOf(values[index])} as '{NameOf(index)}', which must be {needed}");

    /// <summary>The error to throw about the call.</summary>
    public TemplateException Error(string what) => new($"calls {Function} {what}");

    private string NameOf(int index) => index < names.Count ? names[index] : "*";
}
