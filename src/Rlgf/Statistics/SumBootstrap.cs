using Rlgf.Base;

namespace Rlgf.Statistics;

/// <summary>How sure the value of a corpus is that is computed from sums over its texts: the percentile interval of the values of resampled texts.</summary>
/// <remarks>Koehn, "Statistical Significance Tests for Machine Translation Evaluation" (2004).</remarks>
public static class SumBootstrap
{
    /// <summary>Resamples the texts with the random numbers of a seed. All values are of the same resamples.</summary>
    /// <param name="values">For each value: the numbers that each text contributes, all of the same length, and what is computed of their sum (null where that is not defined).</param>
    /// <param name="seed">Of the random numbers.</param>
    /// <param name="resamples">How many times the texts are drawn anew.</param>
    /// <param name="confidence">0.95 for a 95 % interval.</param>
    /// <param name="cancellationToken">Stops between resamples.</param>
    /// <returns>For each value its interval; null for less than two texts, and where no resample has a value.</returns>
    public static IReadOnlyList<(double Low, double High)?> Of(
        IReadOnlyList<(IReadOnlyList<double[]> Texts, Func<double[], double?> OfSum)> values, ulong seed, int resamples = 1000, double confidence = 0.95, CancellationToken cancellationToken = default)
    {
        Interval.RequireConfidence(confidence);
        var count = values.Count == 0 ? 0 : values[0].Texts.Count;
        if (count < 2) return new (double, double)?[values.Count];
        var random = new RandomStream(seed);
        var drawn = values.Select(_ => new List<double>(resamples)).ToArray();
        var times = new int[count];
        for (var resample = 0; resample < resamples; resample++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Array.Clear(times);
            for (var i = 0; i < count; i++) times[random.NextInt32(count)]++;
            for (var v = 0; v < values.Count; v++)
                if (values[v].OfSum(Sum(values[v].Texts, times)) is { } value) drawn[v].Add(value);
        }

        return [.. drawn.Select(all =>
        {
            all.Sort();
            return all.Count == 0 ? ((double, double)?)null : (Quantile.Of(all, (1 - confidence) / 2), Quantile.Of(all, (1 + confidence) / 2));
        })];
    }

    /// <summary>The sum over texts, each as often as it was drawn.</summary>
    private static double[] Sum(IReadOnlyList<double[]> texts, int[] times)
    {
        var sum = new double[texts[0].Length];
        for (var i = 0; i < times.Length; i++)
        {
            if (times[i] == 0) continue;
            var text = texts[i];
            for (var k = 0; k < sum.Length; k++) sum[k] += times[i] * text[k];
        }

        return sum;
    }
}
