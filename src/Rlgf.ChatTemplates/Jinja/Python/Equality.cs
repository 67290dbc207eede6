using System.Numerics;
using System.Runtime.CompilerServices;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Python's <c>==</c>, <c>&lt;</c> and <c>hash()</c>.</summary>
internal static class Equality
{
    private const int MostComparisons = 1 << 20;

    /// <summary>Whether two values are equal.</summary>
    /// <exception cref="TemplateException">They hold too much to be compared.</exception>
    public static bool AreEqual(object? left, object? right)
    {
        var comparisons = MostComparisons;
        return AreEqual(left, right, ref comparisons);
    }

    /// <summary>Whether an order holds.</summary>
    /// <param name="comparison"><c>&lt;</c>, <c>&lt;=</c>, <c>&gt;</c> or <c>&gt;=</c>.</param>
    /// <param name="left">What stands before it.</param>
    /// <param name="right">What stands after it.</param>
    /// <exception cref="TemplateException">The values have no order.</exception>
    public static bool IsOrdered(string comparison, object? left, object? right)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (PythonText.AsText(left) is { } text && PythonText.AsText(right) is { } other)
            return Holds(CodePoints.Compare(text, other));
        if (Numbers.AsInteger(left) is { } a && Numbers.AsInteger(right) is { } b)
            return Holds(a.CompareTo(b));
        if (left is double p && right is double q)
            return !double.IsNaN(p) && !double.IsNaN(q) && Holds(p.CompareTo(q));
        if (Numbers.AsInteger(left) is { } whole && right is double fraction)
            return Numbers.Compare(whole, fraction) is { } order && Holds(order);
        if (left is double number && Numbers.AsInteger(right) is { } integer)
            return Numbers.Compare(integer, number) is { } order && Holds(-order);
        if (Elements(left) is { } one && Elements(right) is { } two && left!.GetType() == right!.GetType())
        {
            for (var i = 0; i < Math.Min(one.Count, two.Count); i++)
            {
                if (!AreEqual(one[i], two[i]))
                    return IsOrdered(comparison, one[i], two[i]);
            }
            return Holds(one.Count.CompareTo(two.Count));
        }
        throw new TemplateException($"compares a {PythonText.TypeOf(left)} with a {PythonText.TypeOf(right)} by {comparison}");

        bool Holds(int order) => comparison switch
        {
            "<" => order < 0,
            "<=" => order <= 0,
            ">" => order > 0,
            _ => order >= 0,
        };
    }

    /// <summary>A number that equal values share.</summary>
    /// <exception cref="TemplateException">The value can change and has none.</exception>
    public static int Hash(object? value)
    {
        var parts = MostComparisons;
        return Hash(value, ref parts);
    }

    private static int Hash(object? value, ref int parts)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (--parts < 0)
            throw new TemplateException("uses a value as a key that is too large");
        switch (value)
        {
            case null:
                return 0;
            case double number when double.IsFinite(number) && Math.Floor(number) == number:
                return new BigInteger(number).GetHashCode();
            case bool or BigInteger:
                return Numbers.AsInteger(value)!.Value.GetHashCode();
            case string or Markup:
                return PythonText.AsText(value)!.GetHashCode(StringComparison.Ordinal);
            case PythonTuple tuple:
                var hash = default(HashCode);
                foreach (var item in tuple.Items)
                    hash.Add(Hash(item, ref parts));
                return hash.ToHashCode();
            case PythonRange range:
                return range.Count.GetHashCode();
            case Undefined:
                return 1;
            case List<object?> or PythonDict or DictView:
                throw new TemplateException($"uses a {PythonText.TypeOf(value)} as a key");
            default:
                return value is double ? value.GetHashCode() : RuntimeHelpers.GetHashCode(value);
        }
    }

    private static bool AreEqual(object? left, object? right, ref int comparisons)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (--comparisons < 0)
            throw new TemplateException("compares values that are too large");
        switch (left, right)
        {
            case (string or Markup, string or Markup):
                return PythonText.AsText(left) == PythonText.AsText(right);
            case (List<object?>, List<object?>) or (PythonTuple, PythonTuple):
                return AreEqual(Elements(left)!, Elements(right)!, ref comparisons);
            case (PythonDict a, PythonDict b):
                var same = a.Count == b.Count;
                foreach (var (key, value) in a)
                    same = same && b.TryGet(key, out var other) && AreEqual(value, other, ref comparisons);
                return same;
            case (DictView { Kind: "keys" } a, DictView { Kind: "keys" } b):
                return a.Dict.Count == b.Dict.Count && a.Dict.Keys.All(key => b.Dict.TryGet(key, out _));
            case (DictView { Kind: "items" } a, DictView { Kind: "items" } b):
                return AreEqual(a.Dict, b.Dict, ref comparisons);
            case (PythonRange a, PythonRange b):
                return a.Count == b.Count && (a.Count.IsZero || (a.Start == b.Start && (a.Count.IsOne || a.Step == b.Step)));
            case (Undefined, Undefined):
                return true;
            case (double a, double b):
                return a == b;
            case (double a, _) when Numbers.AsInteger(right) is { } whole:
                return Numbers.Compare(whole, a) == 0;
            case (_, double b) when Numbers.AsInteger(left) is { } whole:
                return Numbers.Compare(whole, b) == 0;
        }
        return Numbers.AsInteger(left) is { } x && Numbers.AsInteger(right) is { } y ? x == y : ReferenceEquals(left, right);
    }

    private static bool AreEqual(IReadOnlyList<object?> left, IReadOnlyList<object?> right, ref int comparisons)
    {
        if (left.Count != right.Count)
            return false;
        for (var i = 0; i < left.Count; i++)
        {
            if (!ReferenceEquals(left[i], right[i]) && !AreEqual(left[i], right[i], ref comparisons))
                return false;
        }
        return true;
    }

    private static IReadOnlyList<object?>? Elements(object? value) => value is List<object?> list ? list : (value as PythonTuple)?.Items;
}
