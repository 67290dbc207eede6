using System.Globalization;

namespace Rlgf.App.Report;

/// <summary>An axis, linear or of powers of ten.</summary>
/// <param name="Low">The least value drawn; of an axis of powers its logarithm to the base of ten, as of the two below.</param>
/// <param name="High">The greatest.</param>
/// <param name="Step">From one tick to the next.</param>
/// <param name="From">Where <paramref name="Low"/> is drawn.</param>
/// <param name="To">Where <paramref name="High"/> is drawn, which may lie before it, as y does.</param>
internal sealed record Axis(double Low, double High, double Step, double From, double To)
{
    /// <summary>About so many steps.</summary>
    private const int Steps = 5;

    private static readonly int[] RoundFactors = [1, 2, 3, 4, 5, 6, 8, 10, 20, 25, 30, 40, 50];

    /// <summary>Whether equal distances are equal factors.</summary>
    public bool IsOfPowers { get; private init; }

    /// <summary>Round numbers from end to end. Where the last value is no multiple of the step, it takes the place of a tick that it would crowd.</summary>
    public IEnumerable<double> Ticks
    {
        get
        {
            var whole = (int)Math.Floor((High - Low) / Step + 1e-9);
            var rest = (High - Low) / Step - whole;
            for (var i = 0; i <= whole; i++)
            {
                if (i < whole || rest is < 1e-6 or > 0.5) yield return Value(Low + i * Step);
            }

            if (rest > 1e-6) yield return Value(High);
        }
    }

    /// <summary>An axis with round ends that covers the values, drawn from one place to another.</summary>
    public static Axis Over(IEnumerable<double> values, double from, double to)
    {
        var (low, high) = Ends(values);
        if (high - low < 1e-9 * Math.Max(1, Math.Abs(high))) (low, high) = (low - 0.5 * Math.Max(1e-3, Math.Abs(low)), high + 0.5 * Math.Max(1e-3, Math.Abs(high)));
        // Steps of 1, 2 or 5 times a power of ten, about five of them.
        var rough = (high - low) / Steps;
        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        var step = power * (rough / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
        // What lies beyond a tick by less than can be seen is rounding: a KL of −0.0000004 needs no axis that begins at −5.
        const double unseen = 1e-3;
        return new Axis(Math.Floor(low / step + unseen) * step, Math.Ceiling(high / step - unseen) * step, step, from, to);
    }

    /// <summary>An axis of what is counted, such as iterations: from the first to the last, and no further. What is counted from 1 begins at 0, which has the rounder numbers.</summary>
    public static Axis OverCounts(IEnumerable<double> values, double from, double to)
    {
        var (low, high) = Ends(values);
        low = low is >= 1 and < 2 ? 0 : Math.Floor(low);
        high = Math.Max(low + 1, Math.Ceiling(high));
        var span = high - low;
        // Of steps that divide it, the one nearest to five of them, those by which people count before others.
        var power = Math.Pow(10, Math.Max(0, Math.Floor(Math.Log10(span / Steps))));
        var dividing = RoundFactors.Select(factor => factor * power).Where(step => span % step == 0 && span / step is >= 3 and <= 8).ToArray();
        var step = dividing.Length > 0 ? dividing.MinBy(one => Math.Abs(span / one - Steps) + (IsRounder(one / power) ? 0 : 2)) : power * (span / Steps / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
        return new Axis(low, high, step, from, to);
    }

    /// <summary>An axis of powers of ten that covers the values, all above 0, drawn from one place to another.</summary>
    public static Axis OverPowers(IEnumerable<double> values, double from, double to)
    {
        var (low, high) = Ends(values.Select(Math.Log10));
        // A value that is a power of ten but for rounding is at the end.
        const double unseen = 1e-9;
        (low, high) = (Math.Floor(low + unseen), Math.Ceiling(high - unseen));
        return new Axis(low, Math.Max(low + 1, high), Math.Max(1, Math.Ceiling((high - low) / (Steps + 1))), from, to) { IsOfPowers = true };
    }

    /// <summary>Whether values lie so far apart that only an axis of powers shows them all.</summary>
    public static bool NeedsPowers(IReadOnlyCollection<double> values) => values.All(value => value > 0) && values.Max() / values.Min() >= FarApart;

    private const double FarApart = 50;

    private static bool IsRounder(double factor) => factor is 1 or 2 or 5 or 10 or 20 or 50;

    private static (double Low, double High) Ends(IEnumerable<double> values)
    {
        double low = double.PositiveInfinity, high = double.NegativeInfinity;
        foreach (var value in values) (low, high) = (Math.Min(low, value), Math.Max(high, value));
        return low > high ? (0, 1) : (low, high);
    }

    /// <summary>Where a value is drawn.</summary>
    public double Of(double value) => From + ((IsOfPowers ? Math.Log10(value) : value) - Low) / (High - Low) * (To - From);

    private double Value(double at) => IsOfPowers ? Math.Pow(10, at) : at;

    /// <summary>A tick's text, with as many decimals as the step needs.</summary>
    public string Label(double tick)
    {
        if (IsOfPowers) return tick is >= 0.999e-3 and < 1e5 ? tick.ToString("0.###", CultureInfo.InvariantCulture) : tick.ToString("0e0", CultureInfo.InvariantCulture).Replace('-', '−');
        if (Math.Abs(tick) < Step / 2) return "0";
        var (scale, unit) = Math.Max(Math.Abs(Low), Math.Abs(High)) switch { >= 2e6 => (1e6, "M"), >= 2e4 => (1e3, "k"), _ => (1.0, "") };
        var decimals = Math.Max(0, (int)Math.Ceiling(-Math.Log10(Step / scale) - 1e-9));
        return decimals > 5
            ? tick.ToString("0.#e0", CultureInfo.InvariantCulture)
            : (tick / scale).ToString("F" + decimals, CultureInfo.InvariantCulture).Replace('-', '−') + unit;
    }
}
