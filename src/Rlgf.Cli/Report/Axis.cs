using System.Globalization;

namespace Rlgf.Cli.Report;

/// <summary>A linear axis with round ticks that cover the data.</summary>
internal sealed record Axis(double Low, double High, double Step, double From, double To)
{
    /// <summary>Round numbers from end to end.</summary>
    public IEnumerable<double> Ticks => Enumerable.Range(0, (int)Math.Round((High - Low) / Step) + 1).Select(i => Low + i * Step);

    /// <summary>An axis that covers the values, drawn from one place to another (which may lie before it, as y does).</summary>
    public static Axis Over(IEnumerable<double> values, double from, double to)
    {
        double low = double.PositiveInfinity, high = double.NegativeInfinity;
        foreach (var value in values) (low, high) = (Math.Min(low, value), Math.Max(high, value));
        if (low > high) (low, high) = (0, 1);
        if (high - low < 1e-9 * Math.Max(1, Math.Abs(high))) (low, high) = (low - 0.5 * Math.Max(1e-3, Math.Abs(low)), high + 0.5 * Math.Max(1e-3, Math.Abs(high)));
        // Steps of 1, 2 or 5 times a power of ten, about five of them.
        var rough = (high - low) / 5;
        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        var step = power * (rough / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 };
        // What lies beyond a tick by less than can be seen is rounding: a KL of −0.0000004 needs no axis that begins at −5.
        const double unseen = 1e-3;
        return new Axis(Math.Floor(low / step + unseen) * step, Math.Ceiling(high / step - unseen) * step, step, from, to);
    }

    /// <summary>Where a value is drawn.</summary>
    public double Of(double value) => From + (value - Low) / (High - Low) * (To - From);

    /// <summary>A tick's text, with as many decimals as the step needs.</summary>
    public string Label(double tick)
    {
        if (Math.Abs(tick) < Step / 2) return "0";
        var (scale, unit) = Math.Max(Math.Abs(Low), Math.Abs(High)) switch { >= 2e6 => (1e6, "M"), >= 2e4 => (1e3, "k"), _ => (1.0, "") };
        var decimals = Math.Max(0, (int)Math.Ceiling(-Math.Log10(Step / scale) - 1e-9));
        return decimals > 5
            ? tick.ToString("0.#e0", CultureInfo.InvariantCulture)
            : (tick / scale).ToString("F" + decimals, CultureInfo.InvariantCulture).Replace('-', '−') + unit;
    }
}
