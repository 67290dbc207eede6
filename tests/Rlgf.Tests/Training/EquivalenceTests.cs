using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Losses;
using Rlgf.Models.Generation;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Training;

/// <summary>Algorithms that must be the same, number for number, and splits that must change nothing.</summary>
public sealed class EquivalenceTests
{
    private static readonly Func<string, double> Reward = response => response.Count(c => c == '1') - 0.3 * response.Count(c => c == '0');

    private static readonly IGuide Guide = ToyRun.Guide(3, 2, _ => [0.3, 0.5, 0.2]);

    [Fact]
    public void PPO_plus_plus_without_roll_ins_is_PPO() =>
        Assert.Equal(Weights(Presets.Ppo(), null), Weights(Presets.PpoPlusPlus(beta: 0), Guide));

    [Fact]
    public void Adaptive_guidance_without_credit_and_gap_is_PPO_plus_plus()
    {
        var adaptive = Presets.AdaptiveV1(beta: 0.5, credit: 0) with { ScaleByGap = false };
        var plusPlus = Presets.PpoPlusPlus(beta: 0.5);
        plusPlus = plusPlus with { First = plusPlus.First with { Lengths = RollInLengths.Limit } };
        Assert.Equal(Weights(plusPlus, Guide), Weights(adaptive, Guide));
    }

    [Fact]
    public void Adaptive_guidance_without_roll_ins_is_PPO() =>
        Assert.Equal(Weights(Presets.Ppo(), null), Weights(Presets.AdaptiveV1(beta: 0), Guide));

    [Theory]
    [InlineData(1.0)]
    [InlineData(0.0)]
    public void LOLS_with_a_loaded_coin_is_one_of_its_halves(double policyProbability) =>
        Assert.Equal(
            Weights(policyProbability == 1 ? Presets.PpoPlusPlus(0.8) : Presets.AggreVaTeD(0.8), Guide),
            Weights(Presets.Lols(policyProbability, 0.8), Guide));

    [Theory]
    [InlineData(0)]
    [InlineData(1000)]
    public void D2LOLS_before_or_after_its_switch_is_one_of_its_halves(int switchIteration) =>
        Assert.Equal(
            Weights(switchIteration == 0 ? Presets.PpoPlusPlus(0.8) : Presets.AggreVaTeD(0.8), Guide),
            Weights(Presets.D2Lols(switchIteration, 0.8), Guide));

    [Fact]
    public void Credit_to_the_guide_changes_something() =>
        Assert.NotEqual(Weights(Presets.AdaptiveV1(0.5, 0), Guide), Weights(Presets.AdaptiveV1(0.5, 2), Guide));

    [Theory]
    [InlineData(CriticSharing.SharedTrunk, LossReduction.TokenMean)]
    [InlineData(CriticSharing.SharedTrunk, LossReduction.RowMean)]
    [InlineData(CriticSharing.Separate, LossReduction.RowSum)]
    public void Splitting_a_minibatch_changes_nothing_beyond_rounding(CriticSharing sharing, LossReduction reduction)
    {
        foreach (var algorithm in new[] { Presets.AggreVaTeD(0.8), Presets.AdaptiveV1(0.5), Presets.Luffy(4), Presets.Uft(switchIteration: 100) })
        {
            var whole = Weights(algorithm, Guide, setup => With(setup, 0));
            var split = Weights(algorithm, Guide, setup => With(setup, 5));
            Assert.All(whole.Zip(split), pair => Assert.Equal(pair.First, pair.Second, 1e-4));
        }
        // Plain epochs: Adam divides by tiny second moments at first, where rounding would be magnified.
        TrainingSetup With(TrainingSetup setup, int rows) => setup with
        {
            CriticSharing = sharing,
            Update = setup.Update with { RowsPerMicroBatch = rows, Reduction = reduction, AdamEpsilon = 1e-3 },
        };
    }

    [Fact]
    public void The_same_seed_gives_the_same_run_and_another_seed_another()
    {
        Assert.Equal(Weights(Presets.Lols(), Guide), Weights(Presets.Lols(), Guide));
        Assert.NotEqual(Weights(Presets.Lols(), Guide), Weights(Presets.Lols(), Guide, setup => setup with { Seed = 2 }));
    }

    [Fact]
    public void A_copy_of_the_same_type_that_writes_changes_nothing() =>
        Assert.Equal(Weights(Presets.Lols(), Guide), Weights(Presets.Lols(), Guide, setup => setup with { Writer = new ModelWriter(setup.Policy, setup.Policy.Clone()) }));

    [Fact]
    public void Groups_of_one_reward_teach_nothing_and_others_do()
    {
        using var policy = new TabularModel(3, 3, 2);
        using var start = (TabularModel)policy.Clone();
        ToyRun.Run(ToyRun.Setup(policy, Presets.Grpo(4), null, _ => 1, iterations: 3));
        Assert.Equal(start.Logit.data<float>().ToArray(), policy.Logit.data<float>().ToArray());
        foreach (var algorithm in new[] { Presets.Grpo(4), Presets.Rloo(4), Presets.Grpo(4) with { First = Presets.PpoPlusPlus(0.5).First } })
        {
            using var learner = (TabularModel)start.Clone();
            ToyRun.Run(ToyRun.Setup(learner, algorithm, Guide, Reward, iterations: 20));
            Assert.True(ToyRun.ExpectedReward(learner, Reward) > ToyRun.ExpectedReward(start, Reward) + 0.3, algorithm.Name);
        }
    }

    private static float[] Weights(AlgorithmSettings algorithm, IGuide? guide, Func<TrainingSetup, TrainingSetup>? change = null)
    {
        using var policy = new TabularModel(3, 3, 2);
        var setup = ToyRun.Setup(policy, algorithm, guide, Reward, iterations: 4);
        ToyRun.Run(change?.Invoke(setup) ?? setup);
        return [.. policy.Logit.data<float>()];
    }
}
