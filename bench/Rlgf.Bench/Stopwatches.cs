using System.Diagnostics;

namespace Rlgf.Bench;

internal static class Stopwatches
{
    /// <summary>Median of the seconds that an action takes: once to warm up, then until half a second has gone and at least five times.</summary>
    public static double Median(Action action)
    {
        action();
        var seconds = new List<double>();
        for (var total = 0.0; total < 0.5 || seconds.Count < 5; total += seconds[^1])
        {
            var start = Stopwatch.GetTimestamp();
            action();
            seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return Median(seconds);
    }

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
