namespace Rlgf.Text.Chat.Jinja;

/// <summary>Operators on values, as Python has them.</summary>
internal static class Operations
{
    /// <summary>Whether a comparison holds.</summary>
    public static bool Holds(string name, object? left, object? right, Rendering rendering, int line)
    {
        rendering.Step(line);
        switch (name)
        {
            case "==":
                return Values.AreEqual(left, right);
            case "!=":
                return !Values.AreEqual(left, right);
            case "in":
                return Contains(right, left, rendering, line);
            case "not in":
                return !Contains(right, left, rendering, line);
        }
        var order = Values.Compare(left, right) ?? throw rendering.Error(line, $"compares a {Values.TypeOf(left)} with a {Values.TypeOf(right)} by {name}");
        return name switch
        {
            "<" => order < 0,
            "<=" => order <= 0,
            ">" => order > 0,
            _ => order >= 0,
        };
    }

    /// <summary>The value of an arithmetic operator.</summary>
    public static object? Apply(string name, object? left, object? right, Rendering rendering, int line)
    {
        switch (name, left, right)
        {
            case ("~", _, _):
                return Joined(Values.Text(left), Values.Text(right), rendering, line);
            case ("+", string a, string b):
                return Joined(a, b, rendering, line);
            case ("+", List<object?> a, List<object?> b):
                rendering.Step(line, a.Count + b.Count);
                return new List<object?>([.. a, .. b]);
            case ("*", string text, long times):
                if (text.Length == 0 || times <= 0)
                    return "";
                rendering.RequireSize(text.Length * Math.Min(times, 1L << 30), line);
                return string.Concat(Enumerable.Repeat(text, (int)times));
        }
        if (Values.Integer(left) is { } x && Values.Integer(right) is { } y && name is not "/")
            return OfIntegers(name, x, y) ?? throw rendering.Error(line, $"can't work out {x} {name} {y}");
        if (Values.Number(left) is { } p && Values.Number(right) is { } q)
            return OfNumbers(name, p, q) ?? throw rendering.Error(line, $"can't work out {Values.Text(left)} {name} {Values.Text(right)}");
        throw rendering.Error(line, $"has {name} between a {Values.TypeOf(left)} and a {Values.TypeOf(right)}");
    }

    /// <summary>Python's <c>in</c>.</summary>
    public static bool Contains(object? container, object? item, Rendering rendering, int line)
    {
        switch (container)
        {
            case string text:
                return text.Contains(item as string ?? throw rendering.Error(line, $"looks for a {Values.TypeOf(item)} in a text"), StringComparison.Ordinal);
            case List<object?> list:
                rendering.Step(line, list.Count);
                return list.Exists(element => Values.AreEqual(element, item));
            case OrderedDictionary<string, object?> map:
                return item is string key && map.ContainsKey(key);
            case Undefined:
                return false;
            default:
                throw rendering.Error(line, $"looks for something in a {Values.TypeOf(container)}");
        }
    }

    private static string Joined(string left, string right, Rendering rendering, int line)
    {
        rendering.RequireSize((long)left.Length + right.Length, line);
        // Text that grows by a little at a time is copied every time.
        rendering.Step(line, (left.Length + right.Length) / 1024);
        return left + right;
    }

    private static object? OfIntegers(string name, long x, long y)
    {
        try
        {
            return name switch
            {
                "+" => checked(x + y),
                "-" => checked(x - y),
                "*" => checked(x * y),
                "//" when y != 0 => x / y - (x % y != 0 && (x < 0) != (y < 0) ? 1 : 0),
                "%" when y != 0 => (x % y + y) % y,
                "**" when y is >= 0 and < 64 => Power(x, y),
                "**" when y < 0 && x != 0 => Math.Pow(x, y),
                _ => null,
            };
        }
        catch (OverflowException)
        {
            return null;
        }
    }

    private static long Power(long x, long y)
    {
        long power = 1;
        for (; y > 0; y--)
            power = checked(power * x);
        return power;
    }

    private static double? OfNumbers(string name, double x, double y) => name switch
    {
        "+" => x + y,
        "-" => x - y,
        "*" => x * y,
        "/" when y != 0 => x / y,
        "//" when y != 0 => Math.Floor(x / y),
        "%" when y != 0 => x - Math.Floor(x / y) * y,
        "**" => Math.Pow(x, y),
        _ => null,
    };
}
