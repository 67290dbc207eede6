using Rlgf.Base;

namespace Rlgf.Statistics;

/// <summary>A paired comparison by resampling the prompts: no assumption about how the differences are distributed.</summary>
/// <remarks>
/// The percentile interval of Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13; as a comparison of text systems Koehn, "Statistical Significance
/// Tests for Machine Translation Evaluation" (2004).
/// </remarks>
/// <param name="Difference">Mean of a − b of the pairs as they are, with the percentile interval of the resampled means.</param>
/// <param name="ShareAtOrBelowZero">Share of the resampled means that are 0 or below: small where a is better than b.</param>
public sealed record PairedBootstrap(Interval Difference, double ShareAtOrBelowZero)
{
    /// <summary>Resamples with the random numbers of a seed: the same seed gives the same interval.</summary>
    /// <param name="a">A value for each prompt.</param>
    /// <param name="b">The other model's values for the same prompts, in the same order.</param>
    /// <param name="seed">Of the random numbers.</param>
    /// <param name="resamples">How many times the prompts are drawn anew.</param>
    /// <param name="confidence">0.95 for a 95 % interval.</param>
    /// <exception cref="InputException">The two aren't of the same length.</exception>
    public static PairedBootstrap Of(IReadOnlyList<double> a, IReadOnlyList<double> b, ulong seed, int resamples = 10_000, double confidence = 0.95)
    {
        var random = new RandomStream(seed);
        var count = a.Count;
        return Of(a, b, Enumerable.Range(0, resamples).Select(_ => Draw()), confidence);

        int[] Draw()
        {
            var pairs = new int[count];
            for (var i = 0; i < pairs.Length; i++) pairs[i] = random.NextInt32(count);
            return pairs;
        }
    }

    /// <summary>Resamples that are given.</summary>
    /// <param name="a">A value for each prompt.</param>
    /// <param name="b">The other model's values for the same prompts, in the same order.</param>
    /// <param name="resamples">For each resample, which pairs are in it; at least one resample.</param>
    /// <param name="confidence">0.95 for a 95 % interval.</param>
    /// <exception cref="InputException">The two aren't of the same length.</exception>
    public static PairedBootstrap Of(IReadOnlyList<double> a, IReadOnlyList<double> b, IEnumerable<IReadOnlyList<int>> resamples, double confidence = 0.95)
    {
        Interval.RequireConfidence(confidence);
        var differences = PairedDifference.Differences(a, b);
        if (differences.Length == 0) return new(new(double.NaN, double.NaN, double.NaN, 0), double.NaN);
        double[] means = [.. resamples.Select(pairs => pairs.Average(pair => differences[pair])).Order()];
        var interval = new Interval(differences.Average(), Quantile.Of(means, (1 - confidence) / 2), Quantile.Of(means, (1 + confidence) / 2), differences.Length);
        return new(interval, means.Count(mean => mean <= 0) / (double)means.Length);
    }
}
