using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Attributes and methods of Python's <c>int</c> and <c>float</c>.</summary>
internal static class NumberMethods
{
    /// <summary>An attribute or method of a whole number; null where there is none of that name.</summary>
    public static object? OfInteger(BigInteger number, string name) => name switch
    {
        "real" or "numerator" => number,
        "imag" => BigInteger.Zero,
        "denominator" => BigInteger.One,
        "bit_length" => Method(name, () => (BigInteger)BigInteger.Abs(number).GetBitLength()),
        "bit_count" => Method(name, () => (BigInteger)NumberStyle.Digits(BigInteger.Abs(number), 2).Count(digit => digit == '1')),
        "conjugate" => Method(name, () => number),
        "as_integer_ratio" => Method(name, () => PythonTuple.Of(number, BigInteger.One)),
        _ => null,
    };

    /// <summary>An attribute or method of a float; null where there is none of that name.</summary>
    public static object? OfFloat(double number, string name) => name switch
    {
        "real" => number,
        "imag" => 0.0,
        "is_integer" => Method(name, () => double.IsFinite(number) && Math.Floor(number) == number),
        "conjugate" => Method(name, () => number),
        _ => null,
    };

    private static PythonFunction Method(string name, Func<object?> value) => new(name, new Signature(""), _ => value(), $"<built-in method {name} of {PythonText.Address}>");
}
