using Rlgf.Base;
using Rlgf.Models.Generation;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Generation;

public class InverseTransformTests
{
    private static readonly double AlmostOne = Math.BitDecrement(1.0);

    [Theory]
    [InlineData(1)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(300)]
    [InlineData(50257)]
    public void Among_equal_entries_each_is_drawn_by_the_middle_of_its_own_interval(int count)
    {
        // Running sums in single precision over 50,257 entries would be off by several entries.
        var expected = Enumerable.Range(0, Math.Min(count, 500)).Select(i => (int)((long)i * (count - 1) / Math.Max(1, Math.Min(count, 500) - 1))).ToArray();
        using var probabilities = full(1, count, 1f / count).expand(expected.Length, count);

        var (chosen, logProbs) = Draw(probabilities, [.. expected.Select(i => (i + 0.5) / count)]);

        Assert.Equal(expected, chosen);
        Assert.All(logProbs, value => Assert.Equal(-Math.Log(count), value, 1e-6));
    }

    [Theory]
    [InlineData(6)]
    [InlineData(1000)]
    public void An_entry_of_probability_0_is_never_drawn(int count)
    {
        var values = new float[count];
        values[count / 3] = 0.25f;
        values[count / 2] = 0.75f;
        using var probabilities = tensor(values, 1, count).expand(5, count);

        var (chosen, logProbs) = Draw(probabilities, [0, 0.2499, 0.25, 0.9, AlmostOne]);

        Assert.Equal([count / 3, count / 3, count / 2, count / 2, count / 2], chosen);
        Assert.Equal(Math.Log(0.25), logProbs[0], 1e-12);
        Assert.Equal(Math.Log(0.75), logProbs[4], 1e-12);
    }

    [Fact]
    public void A_sum_that_is_not_quite_1_is_divided_by()
    {
        using var probabilities = tensor(new float[] { 0.3f, 0.3f, 0.3f }, 1, 3).expand(3, 3);

        var (chosen, logProbs) = Draw(probabilities, [0.3, 0.34, 0.99]);

        Assert.Equal([0, 1, 2], chosen);
        Assert.All(logProbs, value => Assert.Equal(Math.Log(1 / 3.0), value, 1e-6));
    }

    [Fact]
    public void Rare_entries_at_the_end_keep_their_probabilities()
    {
        // Two entries of 1e-9 after one of 1: a running sum in single precision would stay at 1.
        using var probabilities = tensor(new float[] { 1, 1e-9f, 1e-9f }, 1, 3).expand(3, 3);

        var (chosen, _) = Draw(probabilities, [1 - 2.5e-9, 1 - 1.5e-9, 1 - 0.5e-9]);

        Assert.Equal([0, 1, 2], chosen);
    }

    [Fact]
    public void Rows_whose_sum_is_no_number_or_0_are_marked()
    {
        using var probabilities = tensor(new float[] { 0.5f, 0.5f, float.NaN, 1, 0, 0 }, 3, 2);

        var (chosen, _) = Draw(probabilities, [0.7, 0.7, 0.7]);

        Assert.Equal([1, -1, -1], chosen);
    }

    [Fact]
    public void Frequencies_fit_the_probabilities()
    {
        // Chi-square with 9 degrees of freedom: 27.9 is exceeded with probability 0.001. Fixed seeds, so this never changes.
        const int draws = 10_000;
        float[] weights = [10, 5, 0, 1, 1, 20, 3, 0.5f, 30, 0.1f, 29.4f];
        var values = new float[400];
        for (var i = 0; i < weights.Length; i++)
        {
            values[i * 39] = weights[i] / 100;
        }

        using var probabilities = tensor(values, 1, 400).expand(draws, 400);
        var (chosen, _) = Draw(probabilities, [.. Enumerable.Range(0, draws).Select(i => RandomStream.Uniform(3, (ulong)i, 0))]);

        var counts = chosen.GroupBy(entry => entry).ToDictionary(group => group.Key, group => group.Count());
        Assert.All(counts.Keys, entry => Assert.True(values[entry] > 0));
        var chiSquare = weights.Select((weight, i) => (Expected: weight / 100.0 * draws, Count: counts.GetValueOrDefault(i * 39)))
            .Where(bin => bin.Expected > 0)
            .Sum(bin => Math.Pow(bin.Count - bin.Expected, 2) / bin.Expected);
        Assert.InRange(chiSquare, 1, 27.9);
    }

    private static (int[] Chosen, double[] LogProbs) Draw(Tensor probabilities, double[] uniforms)
    {
        var chosen = new int[uniforms.Length];
        var logProbs = new double[uniforms.Length];
        InverseTransform.Draw(probabilities, uniforms, chosen, logProbs);
        return (chosen, logProbs);
    }
}
