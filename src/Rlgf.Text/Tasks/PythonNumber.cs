using System.Globalization;
using System.Numerics;
using System.Text;
using Rlgf.Text.Metrics;

namespace Rlgf.Text.Tasks;

/// <summary>Numbers in texts as Python's <c>Decimal</c> and <c>float</c> read them: white space around them, underscores, digits of all scripts.</summary>
internal static class PythonNumber
{
    /// <summary>Whether <c>Decimal(text) == Decimal(other)</c>: the same value, exactly, however it is written. What is no number, or not finite, equals nothing.</summary>
    public static bool AreEqualDecimals(string text, string other) => Decimal(text) is { } one && Decimal(other) is { } two && one == two;

    /// <summary><c>float(text)</c>; null where that is no finite number.</summary>
    public static double? Float(string text)
    {
        // The separators of ASCII (U+001C to U+001F) are white space to Python's texts, not to its float.
        var ascii = Ascii(text).Trim(' ', '\t', '\n', '\v', '\f', '\r');
        // Underscores stand between digits only.
        for (var i = 0; i < ascii.Length; i++)
            if (ascii[i] == '_' && !(i > 0 && i + 1 < ascii.Length && char.IsAsciiDigit(ascii[i - 1]) && char.IsAsciiDigit(ascii[i + 1]))) return null;
        const NumberStyles Written = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        return double.TryParse(ascii.Replace("_", "", StringComparison.Ordinal), Written, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : null;
    }

    /// <summary>The digits without zeros at an end, their sign, and the power of ten of the last; null for what is no finite number.</summary>
    private static (bool IsNegative, string Digits, BigInteger Exponent)? Decimal(string text)
    {
        // Decimal leaves all underscores out, wherever they stand.
        var ascii = Ascii(PythonText.Trim(text)).Replace("_", "", StringComparison.Ordinal);
        var at = ascii.Length > 0 && ascii[0] is '+' or '-' ? 1 : 0;
        var isNegative = at == 1 && ascii[0] == '-';
        var digits = new StringBuilder();
        int? point = null;
        for (; at < ascii.Length && (char.IsAsciiDigit(ascii[at]) || ascii[at] == '.' && point is null); at++)
        {
            if (ascii[at] == '.') point = digits.Length;
            else digits.Append(ascii[at]);
        }

        if (digits.Length == 0) return null;
        var exponent = BigInteger.Zero;
        if (at < ascii.Length)
        {
            if (ascii[at] is not ('e' or 'E') || !BigInteger.TryParse(ascii.AsSpan(at + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out exponent)) return null;
        }

        exponent -= digits.Length - (point ?? digits.Length);
        var significant = digits.ToString().TrimStart('0');
        var bare = significant.TrimEnd('0');
        return bare.Length == 0 ? (false, "", BigInteger.Zero) : (isNegative, bare, exponent + significant.Length - bare.Length);
    }

    /// <summary>Digits and white space of all scripts as those of ASCII, any other character that isn't ASCII as one that no number has.</summary>
    private static string Ascii(string text)
    {
        var ascii = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.IsAscii) ascii.Append((char)rune.Value);
            else if (Rune.GetUnicodeCategory(rune) == UnicodeCategory.DecimalDigitNumber) ascii.Append((int)Rune.GetNumericValue(rune));
            else ascii.Append(Rune.IsWhiteSpace(rune) ? ' ' : '?');
        }

        return ascii.ToString();
    }
}
