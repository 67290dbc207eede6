using Rlgf.Statistics;

namespace Rlgf.Tests.Statistics;

public sealed class SumBootstrapTests
{
    [Fact]
    public void A_mean_has_the_interval_that_the_paired_bootstrap_of_differences_to_nothing_has()
    {
        double[] values = [1.5, -2, 0.25, 7, 3, 3];
        var paired = PairedBootstrap.Of(values, new double[values.Length], seed: 5, resamples: 400).Difference;
        var interval = SumBootstrap.Of([([.. values.Select(value => (double[])[value, 1])], sum => sum[0] / sum[1])], seed: 5, resamples: 400)[0]!.Value;
        Assert.Equal(paired.Low, interval.Low, 1e-12);
        Assert.Equal(paired.High, interval.High, 1e-12);
    }

    [Fact]
    public void Two_texts_are_drawn_as_they_can_be()
    {
        // Of 0/1 and 3/1, a quarter of the resamples is 0, a half 3/2, a quarter 3; where the first is drawn twice, a quotient by 0 counts as undefined.
        (IReadOnlyList<double[]>, Func<double[], double?>)[] values =
            [([[0, 1], [3, 1]], sum => sum[0] / sum[1]), ([[0, 0], [3, 1]], sum => sum[1] == 0 ? null : sum[0] / sum[1]), ([[0], [0]], _ => null)];
        var intervals = SumBootstrap.Of(values, seed: 1, resamples: 200);
        Assert.Equal([(0, 3), (3, 3), null], intervals);
    }

    [Fact]
    public void One_text_says_nothing() => Assert.Null(SumBootstrap.Of([([[1]], sum => sum[0])], seed: 1)[0]);
}
