using System.Globalization;

namespace Rlgf.Base;

/// <summary>
/// Numbers in recipes and on the command line: digits with a decimal point and an exponent, the same in every country. Digits may be grouped by <c>_</c>, as in <c>2_000_000</c>; no other separators of thousands, so
/// that <c>0,7</c> is an error and not 7; no blanks, no other base, nothing that isn't finite.
/// </summary>
public static class WrittenNumber
{
    /// <summary>Reads a number.</summary>
    /// <param name="text">As written.</param>
    /// <param name="type"><see cref="double"/>, <see cref="int"/>, <see cref="long"/> or <see cref="ulong"/>.</param>
    /// <returns>A value of the type; null where the text is none.</returns>
    public static object? Parse(string? text, Type type)
    {
        var culture = CultureInfo.InvariantCulture;
        if (text?.Contains('_', StringComparison.Ordinal) == true) text = IsGrouped(text) ? text.Replace("_", "", StringComparison.Ordinal) : null;
        return type == typeof(double)
            ? double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, culture, out var real) && double.IsFinite(real) ? real : null
            : type == typeof(int) ? int.TryParse(text, NumberStyles.AllowLeadingSign, culture, out var whole) ? whole : null
            : type == typeof(long) ? long.TryParse(text, NumberStyles.AllowLeadingSign, culture, out var wide) ? wide : null
            : type == typeof(ulong) ? ulong.TryParse(text, NumberStyles.None, culture, out var natural) ? natural : null
            : throw new NotSupportedException($"there are no settings of the type {type.Name}");
    }

    /// <summary>Whether each underscore stands between two digits.</summary>
    private static bool IsGrouped(string text) =>
        Enumerable.Range(0, text.Length).All(i => text[i] != '_' || (i > 0 && i < text.Length - 1 && char.IsAsciiDigit(text[i - 1]) && char.IsAsciiDigit(text[i + 1])));

    /// <summary>What is expected, for messages.</summary>
    /// <param name="type">As for <see cref="Parse"/>.</param>
    public static string Expected(Type type) => type == typeof(double) ? "a number, such as 0.7" : type == typeof(ulong) ? "a whole number, 0 or more" : "a whole number";
}
