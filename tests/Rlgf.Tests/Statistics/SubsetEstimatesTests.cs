using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Statistics;

namespace Rlgf.Tests.Statistics;

/// <summary>pass@k, best-of-k and win rates, by hand and by enumeration of all subsets and pairs.</summary>
public sealed class SubsetEstimatesTests
{
    [Fact]
    public void By_hand()
    {
        // Of the 6 pairs out of 4 answers, 3 hold the right one; of the 3 pairs out of 1, 2 and 4 the maxima are 2, 4 and 4.
        Assert.Equal(0.5, SubsetEstimates.PassAtK(4, 1, 2), 15);
        Assert.Equal(10 / 3.0, SubsetEstimates.BestOfK([4, 1, 2], 2), 14);
        Assert.Equal((0.0, 1.0), (SubsetEstimates.PassAtK(64, 0, 64), SubsetEstimates.PassAtK(64, 1, 64)));
        // 1 beats neither 2 nor 3; 3 beats 2 and ties with 3.
        Assert.Equal(1.5 / 4, SubsetEstimates.WinRate([1, 3], [2, 3]), 15);
    }

    [Fact]
    public void Both_are_the_mean_over_all_subsets()
    {
        var random = new RandomStream(5);
        for (var n = 1; n <= 7; n++)
        {
            // Some of them equal.
            double[] values = [.. Enumerable.Range(0, n).Select(_ => (double)random.NextInt32(5))];
            for (var k = 1; k <= n; k++)
            {
                int[][] subsets = [.. Enumerable.Range(0, 1 << n).Where(bits => System.Numerics.BitOperations.PopCount((uint)bits) == k).Select(bits => Enumerable.Range(0, n).Where(i => (bits >> i & 1) == 1).ToArray())];
                Assert.Equal(subsets.Average(subset => subset.Max(i => values[i])), SubsetEstimates.BestOfK(values, k), 12);
                for (var right = 0; right <= n; right++) Assert.Equal(subsets.Average(subset => subset.Any(i => i < right) ? 1.0 : 0), SubsetEstimates.PassAtK(n, right, k), 12);
            }
        }
    }

    [Fact]
    public void The_best_of_right_and_wrong_is_pass_at_k_for_many_answers_too()
    {
        foreach (var (n, right) in new[] { (64, 3), (1000, 7), (1000, 1000), (500, 0) })
            foreach (var k in new[] { 1, 2, 16, 64, n }.Where(k => k <= n))
                Assert.Equal(SubsetEstimates.PassAtK(n, right, k), SubsetEstimates.BestOfK([.. Enumerable.Range(0, n).Select(i => i < right ? 1.0 : 0)], k), 10);
        // k = 1 is the mean, k = n the maximum.
        Assert.Equal(7 / 1000.0, SubsetEstimates.PassAtK(1000, 7, 1), 12);
        Assert.Equal(9, SubsetEstimates.BestOfK([3, 9, -1], 3), 12);
    }

    [Fact]
    public void What_is_no_subset_is_refused_and_what_is_not_known_is_not_a_number()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => SubsetEstimates.PassAtK(4, 1, 5));
        Assert.Throws<ArgumentOutOfRangeException>(() => SubsetEstimates.PassAtK(4, 5, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => SubsetEstimates.BestOfK([1], 0));
        Assert.True(double.IsNaN(SubsetEstimates.BestOfK([1, double.NaN], 1)));
        Assert.True(double.IsNaN(SubsetEstimates.WinRate([1, double.NaN], [1])));
    }

    [Fact]
    public void Scores_of_several_answers_by_hand()
    {
        // Of three prompts 0, 1 and 3 of 4 answers are right.
        var scores = new SampledScores([[0, 0.5, 0, 0], [1, 0, 0, 0], [1, 1, 2, 0]], null);
        Assert.Equal([0, 1, 3], scores.Solved(1));
        Assert.Equal([1, 2, 4], scores.Ks);
        Assert.Equal([1, 2, 4, 6], new SampledScores([[0, 0, 0, 0, 0, 0]], null).Ks);
        // Means 1/8, 1/4 and 1.
        Assert.Equal(1.375 / 3, SampledScores.Mean(scores.Rewards).Mean, 12);
        Assert.Equal((0 + 0.25 + 0.75) / 3, scores.PassAtK(1, 1).Mean, 12);
        Assert.Equal((0 + 0.5 + 1) / 3, scores.PassAtK(2, 1).Mean, 12);
        // t of 2 degrees of freedom; values 0, 0.5 and 1: s² = 0.25.
        Assert.Equal(4.302652729911275 * 0.5 / Math.Sqrt(3), scores.PassAtK(2, 1).HalfWidth, 6);
        Assert.Equal((0.5 + 1 + 2) / 3, scores.BestOfK(4).Mean, 12);
        Assert.Equal(1 / 3.0, scores.NeverSolved(1).Mean, 12);
        Assert.Equal(0, scores.NeverSolved(0.5).Mean, 12);
    }

    [Theory]
    [InlineData(0, 64, Difficulty.Never)]
    [InlineData(1, 64, Difficulty.Hard)]
    [InlineData(16, 64, Difficulty.Hard)]
    [InlineData(17, 64, Difficulty.Medium)]
    [InlineData(47, 64, Difficulty.Medium)]
    [InlineData(48, 64, Difficulty.Easy)]
    [InlineData(3, 30, Difficulty.Hard)]
    [InlineData(1, 1, Difficulty.Easy)]
    public void Limits_of_difficulty(int solved, int samples, Difficulty difficulty) => Assert.Equal(difficulty, SampledScores.DifficultyOf(solved, samples));

    [Fact]
    public void A_win_rate_is_the_mean_over_prompts_and_its_interval_is_that_of_resampled_prompts()
    {
        // Per prompt 1, 0.5 and 0: of the 27 resamples of three, means go from 0 to 1.
        var rate = SampledScores.WinRate([[1], [1], [0]], [[0], [1], [1]], seed: 3);
        Assert.Equal((0.5, 0.0, 1.0), (rate.Mean, rate.Low, rate.High));
        var same = SampledScores.WinRate([[1, 2], [3, 3]], [[1, 2], [3, 3]], seed: 3);
        Assert.Equal((0.5, 0.5, 0.5), (same.Mean, same.Low, same.High));
    }
}
