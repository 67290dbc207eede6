using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Python's operators.</summary>
internal static class Arithmetic
{
    /// <summary>The value of an operator between two values.</summary>
    /// <exception cref="TemplateException">It has none.</exception>
    public static object? Apply(string name, object? left, object? right, Rendering rendering)
    {
        switch (name, left, right)
        {
            case ("+", string or Markup, string or Markup):
                return Html.Joined(left, right, rendering);
            case ("+", List<object?> a, List<object?> b):
                rendering.RequireSize(a.Count + (long)b.Count);
                return new List<object?>([.. a, .. b]);
            case ("+", PythonTuple a, PythonTuple b):
                rendering.RequireSize(a.Items.Count + (long)b.Items.Count);
                return new PythonTuple([.. a.Items, .. b.Items]);
            case ("%", string format, _):
                return PercentFormat.Apply(format, right, rendering);
            case ("%", Markup format, _):
                return new Markup(PercentFormat.Apply(format.Text, right, rendering, Html.Escape));
            case ("*", _, _) when Numbers.AsInteger(right) is { } times && Repeated(left, times, rendering) is { } repeated:
                return repeated;
            case ("*", _, _) when Numbers.AsInteger(left) is { } times && Repeated(right, times, rendering) is { } repeated:
                return repeated;
        }
        if (Numbers.AsInteger(left) is { } x && Numbers.AsInteger(right) is { } y)
            return OfIntegers(name, x, y, rendering);
        if (Numbers.AsFloat(left) is { } p && Numbers.AsFloat(right) is { } q)
            return OfFloats(name, p, q);
        throw new TemplateException($"has {name} between a {PythonText.TypeOf(left)} and a {PythonText.TypeOf(right)}");
    }

    /// <summary>The value of <c>-a</c> and <c>+a</c>.</summary>
    public static object Signed(bool isNegative, object? value) =>
        value is double number ? (isNegative ? -number : number)
        : Numbers.AsInteger(value) is { } whole ? (object)(isNegative ? -whole : whole)
        : throw new TemplateException($"has {(isNegative ? '-' : '+')} before a {PythonText.TypeOf(value)}");

    /// <summary>Python's <c>in</c>.</summary>
    public static bool Contains(object? container, object? item, Rendering rendering)
    {
        switch (container)
        {
            case string or Markup:
                var part = PythonText.AsText(item) ?? throw new TemplateException($"looks for a {PythonText.TypeOf(item)} in a str");
                rendering.Step(PythonText.AsText(container)!.Length / 64);
                return PythonText.AsText(container)!.Contains(part, StringComparison.Ordinal);
            case PythonDict dict:
                return dict.TryGet(item, out _);
            case DictView { Kind: "keys" } view:
                return view.Dict.TryGet(item, out _);
            case PythonRange range when Numbers.AsInteger(item) is { } number:
                var isWithin = range.Step > 0 ? number >= range.Start && number < range.Stop : number <= range.Start && number > range.Stop;
                return isWithin && ((number - range.Start) % range.Step).IsZero;
        }
        var elements = Iteration.Of(container, rendering) ?? throw new TemplateException($"looks for something in a {PythonText.TypeOf(container)}");
        return elements.Any(element => ReferenceEquals(element, item) || Equality.AreEqual(element, item));
    }

    private static object? Repeated(object? value, BigInteger times, Rendering rendering)
    {
        if (value is not (string or Markup or List<object?> or PythonTuple))
            return null;
        if (BigInteger.Abs(times) > long.MaxValue)
            throw new TemplateException($"repeats a {PythonText.TypeOf(value)} more often than Python can count");
        var size = PythonText.AsText(value)?.Length ?? (int)Iteration.Count(value)!.Value;
        var count = size == 0 || times <= 0 ? 0 : (int)BigInteger.Min(times, 1 << 30);
        rendering.RequireSize((long)size * count);
        return value switch
        {
            string text => string.Concat(Enumerable.Repeat(text, count)),
            Markup markup => new Markup(string.Concat(Enumerable.Repeat(markup.Text, count))),
            List<object?> list => Enumerable.Repeat(list, count).SelectMany(part => part).ToList(),
            _ => new PythonTuple([.. Enumerable.Repeat(((PythonTuple)value).Items, count).SelectMany(part => part)]),
        };
    }

    private static object OfIntegers(string name, BigInteger x, BigInteger y, Rendering rendering)
    {
        rendering.Step((x.GetBitLength() + y.GetBitLength()) / 4096);
        switch (name)
        {
            case "+":
                return Numbers.Limited(x + y);
            case "-":
                return Numbers.Limited(x - y);
            case "*":
                rendering.Step(x.GetBitLength() * y.GetBitLength() / 1_000_000);
                return Numbers.Limited(x * y);
            case "**" when y.Sign >= 0:
                return Numbers.Power(x, y);
            case "**" when !x.IsZero:
                return OfFloats(name, Numbers.ToFloat(x), Numbers.ToFloat(y));
        }
        if (y.IsZero || name == "**")
            throw new TemplateException($"can't work out {PythonText.Digits(x)} {name} {PythonText.Digits(y)}");
        return name switch
        {
            "/" => Numbers.Divide(x, y),
            "//" => Numbers.FloorDivide(x, y),
            _ => x - Numbers.FloorDivide(x, y) * y,
        };
    }

    private static object OfFloats(string name, double x, double y)
    {
        switch (name)
        {
            case "+":
                return x + y;
            case "-":
                return x - y;
            case "*":
                return x * y;
            case "**":
                var power = Math.Pow(x, y);
                var isComplex = x < 0 && double.IsFinite(x) && double.IsNaN(power) && !double.IsNaN(y);
                var isTooLarge = double.IsInfinity(power) && double.IsFinite(x) && double.IsFinite(y);
                return isComplex || isTooLarge || (x == 0 && y < 0) ? throw new TemplateException($"can't work out {FloatText.Repr(x)} ** {FloatText.Repr(y)}") : power;
        }
        if (y == 0)
            throw new TemplateException($"can't work out {FloatText.Repr(x)} {name} {FloatText.Repr(y)}");
        if (name == "/")
            return x / y;
        var rest = x % y;
        var quotient = (x - rest) / y;
        if (rest != 0 && (rest < 0) != (y < 0))
            (rest, quotient) = (rest + y, quotient - 1);
        else if (rest == 0)
            rest = Math.CopySign(0, y);
        if (name == "%")
            return rest;
        if (quotient == 0)
            return Math.CopySign(0, x / y);
        var whole = Math.Floor(quotient);
        return quotient - whole > 0.5 ? whole + 1 : whole;
    }
}
