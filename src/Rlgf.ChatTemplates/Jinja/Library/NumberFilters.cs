using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Filters that make numbers, or texts of numbers.</summary>
internal static class NumberFilters
{
    /// <summary>The filters by name.</summary>
    public static FunctionTable Table { get; } = new()
    {
        { "abs", "x, /", call => call[0] is double number ? Math.Abs(number) : BigInteger.Abs(call.WholeNumber(0)) },
        { "int", "value, default=0, base=10", ToInteger },
        { "float", "value, default=0.0", ToFloat },
        { "round", "value, precision=0, method='common'", Round },
        { "filesizeformat", "value, binary=False", FileSize },
    };

    private static object? ToInteger(BoundCall call)
    {
        RequireDefined(call);
        if (call[0] is double number)
            return double.IsNaN(number) ? call[1] : Numbers.Truncated(number);
        if (PythonText.AsText(call[0]) is not { } text)
            return Numbers.AsInteger(call[0]) ?? call[1];
        var numberBase = call.Integer(2);
        if (numberBase is 0 or (>= 2 and <= 36) && Numbers.Parse(text, numberBase) is { } whole)
            return whole;
        return Numbers.ParseFloat(text) is { } parsed && double.IsFinite(parsed) ? Numbers.Truncated(parsed) : call[1];
    }

    private static object? ToFloat(BoundCall call)
    {
        RequireDefined(call);
        return PythonText.AsText(call[0]) is { } text ? Numbers.ParseFloat(text) ?? call[1] : Numbers.AsFloat(call[0]) ?? call[1];
    }

    private static void RequireDefined(BoundCall call)
    {
        if (call[0] is Undefined)
            throw call.Wrong(0, "defined");
    }

    private static object Round(BoundCall call)
    {
        var method = call.Text(2);
        if (method is not ("common" or "ceil" or "floor"))
            throw call.Error($"with the method {PythonText.Quoted(method)}; there are common, ceil and floor");
        if (Numbers.AsInteger(call[0]) is null && call[0] is not double)
            throw call.Wrong(0, "a number");
        var places = call.Integer(1);
        if (method == "common")
            return call[0] is double number ? FloatText.Round(number, places) : RoundInteger(call.WholeNumber(0), places);
        var scale = places >= 0 ? Numbers.Power(10, places) : (object)Math.Pow(10, places);
        var scaled = Arithmetic.Apply("*", call[0], scale, call.Rendering);
        var whole = scaled is double fraction ? Numbers.Truncated(method == "ceil" ? Math.Ceiling(fraction) : Math.Floor(fraction)) : (BigInteger)scaled!;
        return Arithmetic.Apply("/", whole, scale, call.Rendering)!;
    }

    private static object RoundInteger(BigInteger number, int places)
    {
        if (places >= 0)
            return number;
        var unit = Numbers.Power(10, -(BigInteger)places);
        var below = Numbers.FloorDivide(number, unit);
        var half = ((number - below * unit) * 2).CompareTo(unit);
        return (half > 0 || (half == 0 && !below.IsEven) ? below + 1 : below) * unit;
    }

    private static string FileSize(BoundCall call)
    {
        var size = PythonText.AsText(call[0]) is { } text ? Numbers.ParseFloat(text) : Numbers.AsFloat(call[0]);
        var bytes = size ?? throw call.Wrong(0, "a number");
        var isBinary = call.IsTrue(1);
        double unit = isBinary ? 1024 : 1000;
        if (bytes == 1)
            return "1 Byte";
        if (bytes < unit)
            return $"{PythonText.Digits(Numbers.Truncated(bytes))} Bytes";
        var prefix = 0;
        var next = Math.Pow(unit, 2);
        while (bytes >= next && prefix < 7)
            next = Math.Pow(unit, ++prefix + 2);
        var amount = unit * bytes / next;
        return $"{FloatText.Fixed(amount, 1)} {"kMGTPEZY"[prefix].ToString().Replace("k", isBinary ? "K" : "k", StringComparison.Ordinal)}{(isBinary ? "i" : "")}B";
    }
}
