using System.Globalization;
using Rlgf.Statistics;

namespace Rlgf.App.Terminals;

/// <summary>Results as lines of a name and a number, with its interval where it has one.</summary>
/// <param name="output">Where they go.</param>
internal sealed class MeansTable(TextWriter output)
{
    private const int NameWidth = 24, NumberWidth = 12;

    /// <summary>A text.</summary>
    public void Text(string name, string value) => output.WriteLine(Named(name) + value);

    /// <summary>A whole number.</summary>
    public void Count(string name, int count) => output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Named(name)}{count,NumberWidth}"));

    /// <summary>A mean with half of its interval's width; NaN for none.</summary>
    public void Mean(string name, double mean, double half) =>
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Named(name)}{Rounded(mean),NumberWidth:0.0000}{(double.IsFinite(half) ? $" ± {Rounded(half):0.0000}" : "")}"));

    /// <summary>A mean with its interval.</summary>
    public void Mean(string name, Interval mean) => Mean(name, mean.Mean, mean.HalfWidth);

    /// <summary>A mean with an interval that is not the same to both sides.</summary>
    public void Ends(string name, Interval mean) =>
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Named(name)}{Rounded(mean.Mean),NumberWidth:0.0000}{(double.IsFinite(mean.Low) ? $" [{Rounded(mean.Low):0.0000}, {Rounded(mean.High):0.0000}]" : "")}"));

    private static string Named(string name) => name.PadRight(NameWidth - 1) + " ";

    // What rounds to zero has no sign.
    private static double Rounded(double value) => Math.Round(value, 4) == 0 ? 0 : value;
}
