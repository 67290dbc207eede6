using System.Globalization;

namespace Rlgf.App.Report;

/// <summary>Numbers as reports show them: invariant culture, a real minus sign, a dash for what is not known.</summary>
internal static class Number
{
    /// <summary>What stands for a number that is not there.</summary>
    public const string None = "–";

    /// <summary>With so many decimals; what rounds to zero has no sign.</summary>
    public static string Fixed(double value, int decimals) =>
        double.IsFinite(value) ? Minus((Math.Round(value, decimals) == 0 ? 0 : value).ToString("F" + decimals, CultureInfo.InvariantCulture)) : None;

    /// <summary>With its sign always.</summary>
    public static string Signed(double value, int decimals) =>
        double.IsFinite(value) ? (value >= 0 ? "+" : "") + Fixed(value, decimals) : None;

    /// <summary>About three digits that count.</summary>
    public static string Short(double value) => Math.Abs(value) switch
    {
        >= 1000 => Fixed(value, 0),
        >= 100 => Fixed(value, 1),
        >= 1 or 0 => Trimmed(value, "0.##"),
        >= 0.001 => Trimmed(value, "0.####"),
        _ => double.IsFinite(value) ? Minus(value.ToString("0.##e0", CultureInfo.InvariantCulture)) : None,
    };

    private static string Trimmed(double value, string format) => Minus(value.ToString(format, CultureInfo.InvariantCulture));

    private static string Minus(string number) => number.Replace('-', '−');
}
