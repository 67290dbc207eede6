using System.Globalization;
using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Floats as Python writes and rounds them: by their exact value, half to even.</summary>
internal static class FloatText
{
    /// <summary>The shortest text that reads back as the same number.</summary>
    public static string Repr(double number)
    {
        if (!double.IsFinite(number))
            return Special(number);
        var (digits, exponent) = Shortest(number);
        var text = exponent is < -4 or >= 16 ? Scientific(digits, exponent) : Plain(digits, exponent);
        return (double.IsNegative(number) ? "-" : "") + (text.AsSpan().IndexOfAny('.', 'e') < 0 ? text + ".0" : text);
    }

    /// <summary>With a number of digits after the point, C's <c>%f</c>, without sign.</summary>
    public static string Fixed(double number, int places)
    {
        if (!double.IsFinite(number))
            return Special(Math.Abs(number));
        var digits = Scaled(number, places).ToString(CultureInfo.InvariantCulture).PadLeft(places + 1, '0');
        return places == 0 ? digits : $"{digits[..^places]}.{digits[^places..]}";
    }

    /// <summary>With an exponent, C's <c>%e</c>, without sign.</summary>
    public static string Exponential(double number, int places)
    {
        if (!double.IsFinite(number))
            return Special(Math.Abs(number));
        var (digits, exponent) = Significant(number, places + 1);
        return Scientific(digits, exponent);
    }

    /// <summary>With a number of significant digits, C's <c>%g</c>, without sign.</summary>
    /// <param name="number">The number.</param>
    /// <param name="precision">Significant digits; 0 counts as 1.</param>
    /// <param name="keepZeros">Whether zeros at the end stay.</param>
    public static string General(double number, int precision, bool keepZeros)
    {
        if (!double.IsFinite(number))
            return Special(Math.Abs(number));
        precision = Math.Max(precision, 1);
        var (digits, exponent) = Significant(number, precision);
        if (!keepZeros)
            digits = digits.TrimEnd('0') is { Length: > 0 } kept ? kept : "0";
        return exponent < -4 || exponent >= precision ? Scientific(digits, exponent) : Plain(digits, exponent);
    }

    /// <summary>Rounds to a number of digits after the point; negative numbers round before it.</summary>
    public static double Round(double number, int places)
    {
        if (!double.IsFinite(number) || places > 400)
            return number;
        if (places < -400)
            return number * 0;
        var text = string.Create(CultureInfo.InvariantCulture, $"{Scaled(number, places)}e{-places}");
        var rounded = double.Parse(text, CultureInfo.InvariantCulture);
        if (!double.IsFinite(rounded))
            throw new TemplateException("rounds a float to one that is too large");
        return double.IsNegative(number) ? -rounded : rounded;
    }

    /// <summary>|number| · 10^places as a whole number, half to even.</summary>
    private static BigInteger Scaled(double number, int places)
    {
        var (numerator, denominator) = Fraction(Math.Abs(number));
        if (places >= 0)
            numerator *= BigInteger.Pow(10, places);
        else
            denominator *= BigInteger.Pow(10, -places);
        return Rounded(numerator, denominator);
    }

    private static BigInteger Rounded(BigInteger numerator, BigInteger denominator)
    {
        var quotient = BigInteger.DivRem(numerator, denominator, out var rest);
        var half = (rest * 2).CompareTo(denominator);
        return half > 0 || (half == 0 && !quotient.IsEven) ? quotient + 1 : quotient;
    }

    /// <summary>The exact value as a fraction.</summary>
    private static (BigInteger Numerator, BigInteger Denominator) Fraction(double number)
    {
        var bits = BitConverter.DoubleToInt64Bits(number);
        var exponent = (int)((bits >> 52) & 0x7FF);
        var mantissa = bits & 0xFFFFFFFFFFFFF;
        if (exponent == 0)
            exponent = 1;
        else
            mantissa |= 1L << 52;
        exponent -= 1075;
        return exponent >= 0 ? ((BigInteger)mantissa << exponent, 1) : (mantissa, BigInteger.One << -exponent);
    }

    /// <summary>A number of significant digits and the exponent of the first.</summary>
    private static (string Digits, int Exponent) Significant(double number, int count)
    {
        if (number == 0)
            return (new string('0', count), 0);
        var exponent = Shortest(number).Exponent;
        var digits = Scaled(number, count - 1 - exponent).ToString(CultureInfo.InvariantCulture);
        // 9.99 may round to 10.0, and the shortest text may lie on the other side of a power of ten.
        if (digits.Length > count)
            digits = Scaled(number, count - 1 - ++exponent).ToString(CultureInfo.InvariantCulture);
        else if (digits.Length < count)
            digits = Scaled(number, count - 1 - --exponent).ToString(CultureInfo.InvariantCulture);
        return (digits, exponent);
    }

    /// <summary>The shortest digits that read back as the same number, and the exponent of the first.</summary>
    private static (string Digits, int Exponent) Shortest(double number)
    {
        var text = Math.Abs(number).ToString("E16", CultureInfo.InvariantCulture);
        var shortest = Math.Abs(number).ToString("R", CultureInfo.InvariantCulture);
        var mark = shortest.IndexOf('E', StringComparison.Ordinal);
        var digits = (mark < 0 ? shortest : shortest[..mark]).Replace(".", "", StringComparison.Ordinal).TrimStart('0').TrimEnd('0');
        if (digits.Length == 0)
            return ("0", 0);
        var exponent = int.Parse(text.AsSpan(text.IndexOf('E', StringComparison.Ordinal) + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        if (digits == "1" && text[0] == '9')
            exponent++;
        return (digits, exponent);
    }

    private static string Plain(string digits, int exponent)
    {
        if (exponent < 0)
            return "0." + new string('0', -exponent - 1) + digits;
        return digits.Length <= exponent + 1 ? digits.PadRight(exponent + 1, '0') : $"{digits[..(exponent + 1)]}.{digits[(exponent + 1)..]}";
    }

    private static string Scientific(string digits, int exponent) => string.Create(
        CultureInfo.InvariantCulture, $"{digits[..1]}{(digits.Length > 1 ? "." : "")}{digits[1..]}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}");

    private static string Special(double number) => double.IsNaN(number) ? "nan" : number > 0 ? "inf" : "-inf";
}
