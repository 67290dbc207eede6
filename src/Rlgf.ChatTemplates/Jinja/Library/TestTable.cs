using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>What may follow <c>is</c>.</summary>
internal static class TestTable
{
    private static readonly object Two = new BigInteger(2);

    private static readonly FunctionTable Tests = new()
    {
        { "odd", "value", call => Equality.AreEqual(Rest(call, Two), BigInteger.One) },
        { "even", "value", call => Equality.AreEqual(Rest(call, Two), BigInteger.Zero) },
        { "divisibleby", "value, num", call => Equality.AreEqual(Rest(call, call[1]), BigInteger.Zero) },
        { "defined", "value", call => call[0] is not Undefined },
        { "undefined", "value", call => call[0] is Undefined },
        { "filter", "value", call => Equality.Hash(call[0]) is var _ && FilterTable.Has(PythonText.AsText(call[0]) ?? "") },
        { "test", "value", call => Equality.Hash(call[0]) is var _ && Has(PythonText.AsText(call[0]) ?? "") },
        { "none", "value", call => call[0] is null },
        { "boolean", "value", call => call[0] is bool },
        { "false", "value", call => call[0] is false },
        { "true", "value", call => call[0] is true },
        { "integer", "value", call => call[0] is BigInteger },
        { "float", "value", call => call[0] is double },
        { "lower", "value", call => Is(call, "islower") },
        { "upper", "value", call => Is(call, "isupper") },
        { "string", "value", call => PythonText.AsText(call[0]) is not null },
        { "mapping", "value", call => call[0] is PythonDict },
        { "number", "value", call => call[0] is bool or BigInteger or double },
        { "sequence", "value", call => call[0] is string or Markup or List<object?> or PythonTuple or PythonDict or PythonRange or Undefined },
        { "iterable", "value", call => Iteration.Of(call[0], call.Rendering) is not null },
        { "callable", "obj, /", call => call[0] is ICallable or Undefined },
        { "sameas", "value, other", call => AreSame(call[0], call[1]) },
        { "escaped", "value", call => call[0] is Markup },
        { "in", "value, seq", call => Arithmetic.Contains(call[1], call[0], call.Rendering) },
    };

    static TestTable()
    {
        foreach (var names in (string[][])[["==", "eq", "equalto"], ["!=", "ne"], [">", "gt", "greaterthan"], [">=", "ge"], ["<", "lt", "lessthan"], ["<=", "le"]])
        {
            var comparison = names[0];
            foreach (var name in names)
                Tests.Add(name, "a, b, /", call => Comparison.Holds(comparison, call[0], call[1], call.Rendering));
        }
    }

    /// <summary>Whether there is a test of a name.</summary>
    public static bool Has(string name) => Tests.ContainsKey(name);

    /// <summary>Whether the first argument passes.</summary>
    /// <exception cref="TemplateException">There is no such test, or it can't say.</exception>
    public static bool Holds(string name, CallArguments arguments, Rendering rendering) => Has(name)
        ? (bool)Tests.Call("test", name, arguments, rendering)!
        : throw new TemplateException($"uses the test '{name}', which Jinja doesn't have");

    private static object? Rest(BoundCall call, object? divisor) => Arithmetic.Apply("%", call[0], divisor, call.Rendering);

    private static object? Is(BoundCall call, string method) =>
        TextMethods.Table[method].Of(PythonText.Str(call[0]), method, "str").Call(CallArguments.None, call.Rendering);

    /// <summary>Whether two values are one: Python keeps one of each small number and of true, false and None; equal texts are taken for one.</summary>
    private static bool AreSame(object? left, object? right) => ReferenceEquals(left, right) || (left, right) switch
    {
        (bool a, bool b) => a == b,
        (BigInteger a, BigInteger b) => a == b && a >= -5 && a <= 256,
        (string a, string b) => a == b,
        _ => false,
    };
}
