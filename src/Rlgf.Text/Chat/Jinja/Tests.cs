namespace Rlgf.Text.Chat.Jinja;

/// <summary>What may follow <c>is</c>.</summary>
internal static class Tests
{
    private static readonly HashSet<string> Names =
    [
        "defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false", "mapping", "iterable", "sequence", "callable", "odd", "even",
        "divisibleby", "lower", "upper", "in", "eq", "equalto", "ne", "lt", "lessthan", "le", "gt", "greaterthan", "ge", "sameas",
    ];

    /// <summary>Whether a test is one that is supported.</summary>
    public static bool Has(string name) => Names.Contains(name);

    /// <summary>Whether a value passes.</summary>
    public static bool Holds(string name, object? value, IReadOnlyList<object?> arguments, Rendering rendering, int line)
    {
        var other = arguments.Count > 0 ? arguments[0] : null;
        return name switch
        {
            "defined" => value is not Undefined,
            "undefined" => value is Undefined,
            "none" => value is null,
            "string" => value is string,
            "number" => value is long or double or bool,
            "integer" => value is long,
            "float" => value is double,
            "boolean" => value is bool,
            "true" => value is true,
            "false" => value is false,
            "mapping" => value is OrderedDictionary<string, object?>,
            "iterable" or "sequence" => value is string or List<object?> or OrderedDictionary<string, object?>,
            "callable" => value is Callable,
            "odd" => Whole(value) % 2 != 0,
            "even" => Whole(value) % 2 == 0,
            "divisibleby" => Whole(other) is not 0 and var divisor ? Whole(value) % divisor == 0 : throw rendering.Error(line, "tests whether a number is divisible by 0"),
            "lower" => value is string text && text.Any(char.IsLower) && !text.Any(char.IsUpper),
            "upper" => value is string text && text.Any(char.IsUpper) && !text.Any(char.IsLower),
            "in" => Operations.Contains(other, value, rendering, line),
            "eq" or "equalto" => Values.AreEqual(value, other),
            "ne" => !Values.AreEqual(value, other),
            "sameas" => ReferenceEquals(value, other) || (value is not (List<object?> or OrderedDictionary<string, object?>) && Values.TypeOf(value) == Values.TypeOf(other) && Values.AreEqual(value, other)),
            "lt" or "lessthan" => Operations.Holds("<", value, other, rendering, line),
            "le" => Operations.Holds("<=", value, other, rendering, line),
            "gt" or "greaterthan" => Operations.Holds(">", value, other, rendering, line),
            "ge" => Operations.Holds(">=", value, other, rendering, line),
            _ => throw rendering.Error(line, $"uses the test '{name}', which isn't supported"),
        };

        long Whole(object? number) => Values.Integer(number) ?? throw rendering.Error(line, $"uses the test '{name}' on a {Values.TypeOf(number)}");
    }
}
