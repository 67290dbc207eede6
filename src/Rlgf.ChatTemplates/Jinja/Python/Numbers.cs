using System.Buffers;
using System.Globalization;
using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Numbers and what is taken for one.</summary>
internal static class Numbers
{
    private const int MostBits = 1 << 20;
    private const int MostDigits = 4300;
    private static readonly SearchValues<char> FloatCharacters = SearchValues.Create("0123456789+-.eE");
    private static readonly BigInteger LargestExact = BigInteger.One << 53;

    /// <summary>A whole number, or true and false as 1 and 0; null for anything else.</summary>
    public static BigInteger? AsInteger(object? value) => value switch
    {
        bool flag => flag ? BigInteger.One : BigInteger.Zero,
        BigInteger number => number,
        _ => null,
    };

    /// <summary>Any number as a float; null for anything else.</summary>
    /// <exception cref="TemplateException">A whole number is too large to be one.</exception>
    public static double? AsFloat(object? value) => value is double number ? number : AsInteger(value) is { } whole ? ToFloat(whole) : null;

    /// <summary>The float nearest to a whole number.</summary>
    /// <exception cref="TemplateException">There is none.</exception>
    public static double ToFloat(BigInteger whole)
    {
        if (BigInteger.Abs(whole) <= LargestExact)
            return (double)whole;
        var number = whole.GetBitLength() > 1100 ? double.PositiveInfinity : double.Parse(whole.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        return double.IsFinite(number) ? number : throw new TemplateException("makes a float of an int that is too large");
    }

    /// <summary>The whole part of a float.</summary>
    /// <exception cref="TemplateException">It is infinite or not a number.</exception>
    public static BigInteger Truncated(double number) =>
        double.IsFinite(number) ? new BigInteger(number) : throw new TemplateException($"makes an int of {FloatText.Repr(number)}");

    /// <summary>Compares a whole number with a float, exactly; null where the float isn't a number.</summary>
    public static int? Compare(BigInteger whole, double number)
    {
        if (double.IsNaN(number))
            return null;
        if (double.IsInfinity(number))
            return number > 0 ? -1 : 1;
        var order = whole.CompareTo(new BigInteger(number));
        return order != 0 ? order : 0.0.CompareTo(number - Math.Truncate(number));
    }

    /// <summary>Refuses whole numbers that would take too much.</summary>
    public static BigInteger Limited(BigInteger number) =>
        number.GetBitLength() <= MostBits ? number : throw new TemplateException("makes an int that is too large");

    /// <summary>Refuses a power that would take too much before it is made.</summary>
    public static BigInteger Power(BigInteger number, BigInteger exponent)
    {
        if (exponent * number.GetBitLength() > MostBits && BigInteger.Abs(number) > 1)
            throw new TemplateException("makes an int that is too large");
        if (BigInteger.Abs(number) > 1)
            return BigInteger.Pow(number, (int)exponent);
        return exponent.IsZero || (number.Sign < 0 && exponent.IsEven) ? BigInteger.One : number;
    }

    /// <summary>The quotient rounded down, Python's <c>//</c>.</summary>
    public static BigInteger FloorDivide(BigInteger left, BigInteger right)
    {
        var quotient = BigInteger.DivRem(left, right, out var rest);
        return !rest.IsZero && (rest.Sign < 0) != (right.Sign < 0) ? quotient - 1 : quotient;
    }

    /// <summary>The quotient of two whole numbers, rounded once.</summary>
    public static double Divide(BigInteger left, BigInteger right)
    {
        if (BigInteger.Abs(left) <= LargestExact && BigInteger.Abs(right) <= LargestExact)
            return (double)left / (double)right;
        // Enough digits that what is cut off can only break a tie; the last digit says on which side it lies.
        var shift = (int)Math.Max(0, (right.GetBitLength() - left.GetBitLength()) * 0.302 + 25);
        var quotient = BigInteger.DivRem(BigInteger.Abs(left) * BigInteger.Pow(10, shift), BigInteger.Abs(right), out var rest);
        var text = string.Create(CultureInfo.InvariantCulture, $"{quotient}{(rest.IsZero ? 0 : 1)}e{-shift - 1}");
        var number = double.Parse(text, CultureInfo.InvariantCulture);
        if (!double.IsFinite(number))
            throw new TemplateException("divides ints whose quotient is too large for a float");
        return (left.Sign < 0) != (right.Sign < 0) ? -number : number;
    }

    /// <summary>Reads a text as Python's <c>int()</c> does; null where it isn't one.</summary>
    /// <param name="text">The text.</param>
    /// <param name="numberBase">2 to 36, or 0 for the base that a prefix says.</param>
    public static BigInteger? Parse(string text, int numberBase)
    {
        var digits = Digits(text);
        var isNegative = digits.StartsWith('-');
        if (digits.Length > 0 && digits[0] is '-' or '+')
            digits = digits[1..];
        var prefixed = digits.Length > 1 && digits[0] == '0' ? char.ToLowerInvariant(digits[1]) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 0 } : 0;
        var isPrefixed = prefixed != 0 && (numberBase == prefixed || numberBase == 0);
        if (isPrefixed)
            digits = digits[2..].StartsWith('_') ? digits[3..] : digits[2..];
        if (numberBase == 0)
        {
            numberBase = prefixed != 0 ? prefixed : 10;
            // A number that begins with 0 and has no prefix was octal in older Pythons: only 0 itself is allowed.
            if (prefixed == 0 && digits.StartsWith('0') && digits.Trim('0', '_').Length > 0)
                return null;
        }
        if (digits.Length == 0 || digits[0] == '_' || digits[^1] == '_' || digits.Contains("__", StringComparison.Ordinal) || digits.Length > MostDigits)
            return null;
        if (numberBase == 10)
            return digits.All(digit => char.IsAsciiDigit(digit) || digit == '_')
                ? Signed(BigInteger.Parse(digits.Replace("_", "", StringComparison.Ordinal), CultureInfo.InvariantCulture))
                : null;
        var number = BigInteger.Zero;
        foreach (var digit in digits)
        {
            if (digit == '_')
                continue;
            var value = char.IsAsciiDigit(digit) ? digit - '0' : char.IsAsciiLetter(digit) ? char.ToLowerInvariant(digit) - 'a' + 10 : numberBase;
            if (value >= numberBase)
                return null;
            number = number * numberBase + value;
        }
        return Signed(number);

        BigInteger Signed(BigInteger whole) => isNegative ? -whole : whole;
    }

    /// <summary>Reads a text as Python's <c>float()</c> does; null where it isn't one.</summary>
    public static double? ParseFloat(string text)
    {
        var digits = Digits(text);
        var bare = digits.TrimStart('+', '-').ToLowerInvariant();
        if (digits.Length - bare.Length <= 1 && bare is "inf" or "infinity" or "nan")
            return bare == "nan" ? double.NaN : digits[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity;
        for (var i = 0; i < digits.Length; i++)
        {
            if (digits[i] == '_' && (i == 0 || i + 1 == digits.Length || !char.IsAsciiDigit(digits[i - 1]) || !char.IsAsciiDigit(digits[i + 1])))
                return null;
        }
        const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        var plain = digits.Replace("_", "", StringComparison.Ordinal);
        var isPlain = plain.AsSpan().IndexOfAnyExcept(FloatCharacters) < 0;
        return isPlain && double.TryParse(plain, Style, CultureInfo.InvariantCulture, out var number) ? number : null;
    }

    /// <summary>A text without spaces around it, its decimal digits as those of ASCII.</summary>
    private static string Digits(string text) => string.Concat(CodePoints.Each(WhiteSpace.Trim(text)).Select(
        character => CharUnicodeInfo.GetDecimalDigitValue(character, 0) is >= 0 and var digit ? digit.ToString(CultureInfo.InvariantCulture) : character));
}
