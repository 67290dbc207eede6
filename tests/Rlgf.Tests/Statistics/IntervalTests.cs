using Rlgf.Base;
using Rlgf.Statistics;
using static TorchSharp.torch;

namespace Rlgf.Tests.Statistics;

public class IntervalTests
{
    // The table of Student's t and its quantiles holds the library to scipy.
    private const double LibraryTolerance = 1e-9;

    [Fact]
    public void Means_by_hand()
    {
        // Mean 2, s² = (1 + 0 + 1)/2 = 1, s/√3; t_2(0.975) from scipy.
        var interval = Interval.OfMean([1, 2, 3]);
        Assert.Equal(2, interval.Mean);
        Assert.Equal(4.302652729911275 / Math.Sqrt(3), interval.HalfWidth, LibraryTolerance);
        Assert.Equal(new Interval(0.5, 0.5, 0.5, 4), Interval.OfMean([0.5, 0.5, 0.5, 0.5]));
    }

    [Fact]
    public void What_is_not_known_is_not_a_number()
    {
        Assert.Equal(new Interval(7, double.NaN, double.NaN, 1), Interval.OfMean([7]));
        Assert.Equal(new Interval(double.NaN, double.NaN, double.NaN, 0), Interval.OfMean([]));
        Assert.True(double.IsNaN(Interval.OfMean([1, double.NaN, 2]).Mean));
    }

    [Fact]
    public void Quantiles_of_students_t_are_scipys()
    {
        foreach (var golden in Golden.Load("metrics/statistics.json").GetProperty("student_t_quantile").EnumerateArray())
        {
            var actual = MathNet.Numerics.Distributions.StudentT.InvCDF(0, 1, golden.Number("df"), golden.Number("p"));
            Assert.Equal(1, actual / golden.Number("value"), LibraryTolerance);
        }
        foreach (var golden in Golden.Load("metrics/statistics.json").GetProperty("student_t").EnumerateArray())
        {
            var actual = 2 * MathNet.Numerics.Distributions.StudentT.CDF(0, 1, golden.Number("df"), -Math.Abs(golden.Number("t")));
            Assert.Equal(1, actual / golden.Number("two_sided_p"), LibraryTolerance);
        }
    }

    [Fact]
    public void Golden_quantiles_are_met()
    {
        using var scope = NewDisposeScope();
        foreach (var golden in Golden.Load("metrics/statistics.json").GetProperty("quantiles").EnumerateArray())
        {
            var sorted = golden.GetProperty("sorted").Numbers();
            Golden.AssertClose(golden.GetProperty("value"), tensor(golden.GetProperty("q").Numbers().Select(q => Quantile.Of(sorted, q)).ToArray()), "quantile");
        }
    }

    [Fact]
    public void Golden_paired_tests_are_met()
    {
        using var scope = NewDisposeScope();
        foreach (var golden in Golden.Load("metrics/statistics.json").GetProperty("paired_t").EnumerateArray())
        {
            var actual = PairedDifference.Of(golden.GetProperty("a").Numbers(), golden.GetProperty("b").Numbers());
            Assert.Equal(golden.Number("t"), actual.T, LibraryTolerance);
            Assert.Equal(golden.Number("p_two_sided"), actual.PTwoSided, LibraryTolerance);
            Assert.Equal(golden.Number("difference_low"), actual.Difference.Low, LibraryTolerance);
            Assert.Equal(golden.Number("difference_high"), actual.Difference.High, LibraryTolerance);
            Assert.Equal(golden.Number("degrees_of_freedom"), actual.Difference.Count - 1);
        }
    }

    [Fact]
    public void Two_models_that_are_the_same_do_not_differ()
    {
        var same = PairedDifference.Of([1, 2, 3], [1, 2, 3]);
        Assert.Equal((0, 0, 0, 0, 1), (same.Difference.Mean, same.Difference.Low, same.Difference.High, same.T, same.PTwoSided));
        Assert.Equal(1, PairedBootstrap.Of([1, 2, 3], [1, 2, 3], seed: 1, resamples: 10).ShareAtOrBelowZero);
    }

    [Fact]
    public void Golden_bootstraps_are_met_with_given_and_with_seeded_resamples()
    {
        using var scope = NewDisposeScope();
        foreach (var golden in Golden.Load("metrics/statistics.json").GetProperty("paired_bootstrap").EnumerateArray())
        {
            double[] a = golden.GetProperty("a").Numbers(), b = golden.GetProperty("b").Numbers();
            var indices = golden.GetProperty("resample_indices").EnumerateArray().Select(row => row.Numbers().Select(i => (int)i).ToArray());
            var actual = PairedBootstrap.Of(a, b, indices);
            var expected = golden.GetProperty("with_these_indices");
            Golden.AssertClose(expected.Number("mean"), actual.Difference.Mean, "mean");
            Golden.AssertClose(expected.Number("low"), actual.Difference.Low, "low");
            Golden.AssertClose(expected.Number("high"), actual.Difference.High, "high");
            Golden.AssertClose(expected.Number("share_at_or_below_zero"), actual.ShareAtOrBelowZero, "share");

            var seeded = PairedBootstrap.Of(a, b, seed: 1, resamples: 50_000);
            var many = golden.GetProperty("many_resamples");
            Assert.Equal(many.Number("low"), seeded.Difference.Low, many.Number("tolerance"));
            Assert.Equal(many.Number("high"), seeded.Difference.High, many.Number("tolerance"));

            var analytic = golden.GetProperty("analytic");
            var students = PairedDifference.Of(a, b).Difference;
            Assert.Equal(analytic.Number("t_low"), students.Low, LibraryTolerance);
            Assert.Equal(analytic.Number("t_high"), students.High, LibraryTolerance);
        }
    }

    [Fact]
    public void Every_resample_of_four_pairs_gives_the_exact_interval()
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Load("metrics/statistics.json").GetProperty("paired_bootstrap_exact");
        var every = Enumerable.Range(0, 256).Select(i => new[] { i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6 });
        var actual = PairedBootstrap.Of(golden.GetProperty("differences").Numbers(), new double[4], every);
        Golden.AssertClose(golden.Number("low"), actual.Difference.Low, "low");
        Golden.AssertClose(golden.Number("high"), actual.Difference.High, "high");
    }

    [Fact]
    public void A_seed_repeats_and_another_differs()
    {
        double[] a = [1, 5, 2, 8, 3], b = [2, 1, 1, 4, 4];
        Assert.Equal(PairedBootstrap.Of(a, b, 7, 500), PairedBootstrap.Of(a, b, 7, 500));
        Assert.NotEqual(PairedBootstrap.Of(a, b, 7, 501), PairedBootstrap.Of(a, b, 8, 501));
    }

    [Fact]
    public void Different_numbers_of_prompts_are_refused()
    {
        Assert.Contains("2 values against 1", Assert.Throws<InputException>(() => PairedDifference.Of([1, 2], [1])).Message);
        Assert.Throws<InputException>(() => PairedBootstrap.Of([1, 2], [1], 1));
    }
}
