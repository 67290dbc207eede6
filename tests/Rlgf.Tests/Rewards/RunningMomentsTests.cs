using System.Text.Json;
using Rlgf.Algorithms;
using Rlgf.Rewards;
using Rlgf.Tests.Toys;

namespace Rlgf.Tests.Rewards;

/// <summary>Rewards that training sees at mean 0 and deviation 1. That a resumed run goes on with the same moments, bit for bit, is in ResumeTests.</summary>
public sealed class RunningMomentsTests
{
    [Fact]
    public void Batches_give_the_moments_of_all_their_rewards()
    {
        // 1, 2, 3 | 6 | 8: mean 4, squared distances 9 + 4 + 1 + 4 + 16 = 34, deviation √(34/4).
        var moments = new RunningMoments().With([1, 2, 3]).With([]).With([6]).With([8]);
        Assert.Equal(5, moments.Count);
        Assert.Equal(4, moments.Mean, 12);
        Assert.Equal(34, moments.Squares, 12);
        Assert.Equal(Math.Sqrt(34.0 / 4), moments.Scale, 12);
        Assert.Equal(moments, JsonSerializer.Deserialize<RunningMoments>(JsonSerializer.Serialize(moments)));
    }

    [Theory]
    [InlineData(new[] { 3.0 })]
    [InlineData(new[] { 0.1, 0.1, 0.1 })]
    [InlineData(new[] { 0.7, 0.7000000001, 0.7 })]
    public void Rewards_without_spread_are_not_blown_up(double[] rewards) => Assert.Equal(1, new RunningMoments().With(rewards).Scale);

    [Fact]
    public void The_sum_of_a_normalised_score_is_the_normalised_sum()
    {
        var moments = new RunningMoments(5, 4, 16);
        var score = moments.Normalise(new RewardScore(3, new Dictionary<string, double> { ["a"] = 7 }, [1, 4]));
        // (3 + 1 + 4 − 4) / 2
        Assert.Equal(2, score.Return, 6);
        Assert.Equal([0.5f, 2f], score.PerToken!);
        Assert.Equal(7, score.Parts["a"]);
    }

    [Fact]
    public void What_is_learnt_does_not_depend_on_the_rewards_unit_and_what_is_reported_does()
    {
        static double Reward(string response) => response.Count(c => c == '1') - 0.3 * response.Count(c => c == '0');
        var (plain, plainMeans) = Run(Reward, normalise: true);
        var (scaled, scaledMeans) = Run(response => 40 * Reward(response) - 7, normalise: true);
        Assert.All(plain.Zip(scaled), pair => Assert.Equal(pair.First, pair.Second, 1e-3));
        Assert.All(plainMeans.Zip(scaledMeans), pair => Assert.Equal(40 * pair.First - 7, pair.Second, 1e-6));
        var (raw, _) = Run(Reward, normalise: false);
        Assert.NotEqual(raw, plain);
    }

    private static (float[] Weights, double[] Means) Run(Func<string, double> reward, bool normalise)
    {
        using var policy = new TabularModel(3, 3, 2);
        var records = ToyRun.Run(ToyRun.Setup(policy, Presets.Ppo(), null, reward, iterations: 4) with { NormaliseReward = normalise });
        return ([.. policy.Logit.data<float>()], [.. records.Select(record => record.Metrics["reward/mean"])]);
    }
}
