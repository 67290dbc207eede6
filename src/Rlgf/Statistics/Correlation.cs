namespace Rlgf.Statistics;

/// <summary>How far two numbers of the same things rise together.</summary>
public static class Correlation
{
    /// <summary>Pearson's r.</summary>
    /// <param name="x">A value for each thing.</param>
    /// <param name="y">The other value for the same things, in the same order.</param>
    /// <returns>−1 to 1; NaN of fewer than two things, or where one of the two is the same for all.</returns>
    /// <exception cref="ArgumentException">The two aren't of the same length.</exception>
    public static double Pearson(IReadOnlyList<double> x, IReadOnlyList<double> y)
    {
        if (x.Count != y.Count) throw new ArgumentException($"There are {x.Count} values and {y.Count}.", nameof(y));
        if (Spread.IsNone(x) || Spread.IsNone(y)) return double.NaN;
        var (meanX, meanY) = (x.Average(), y.Average());
        var (xy, xx, yy) = (0.0, 0.0, 0.0);
        for (var i = 0; i < x.Count; i++)
        {
            var (dx, dy) = (x[i] - meanX, y[i] - meanY);
            (xy, xx, yy) = (xy + (dx * dy), xx + (dx * dx), yy + (dy * dy));
        }

        return xy / Math.Sqrt(xx * yy);
    }
}
