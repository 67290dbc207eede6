using System.Diagnostics;

namespace Rlgf.Bench;

/// <summary>What time is measured by.</summary>
internal static class Clock
{
    /// <summary>
    /// Whether the process's own processor time is taken in place of the time of day: the figures of one thread then mean something on a machine that others use too.
    /// Not for several threads, which wait for one another by turning in circles.
    /// </summary>
    public static bool CountsProcessorTime { get; set; }

    /// <summary>Seconds since some fixed time.</summary>
    public static double Seconds => CountsProcessorTime ? Environment.CpuUsage.TotalTime.TotalSeconds : (double)Stopwatch.GetTimestamp() / Stopwatch.Frequency;

    /// <summary>Seconds that an action takes.</summary>
    public static double Time(Action action)
    {
        var start = Seconds;
        action();
        return Seconds - start;
    }

    /// <summary>Median of the seconds that an action takes: once to warm up, then until half a second has gone and at least five times.</summary>
    public static double MedianTime(Action action)
    {
        action();
        var seconds = new List<double>();
        for (var total = 0.0; total < 0.5 || seconds.Count < 5; total += seconds[^1]) seconds.Add(Time(action));
        return Median(seconds);
    }

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
