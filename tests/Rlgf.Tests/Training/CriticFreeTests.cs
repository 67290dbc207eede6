using Rlgf.Advantages;
using Rlgf.Algorithms;
using Rlgf.Losses;
using Rlgf.Models.Generation;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>How the methods without a critic hang together: which are the same, and by which factor they differ.</summary>
public sealed class CriticFreeTests
{
    private static readonly Func<string, double> Reward = response => response.Count(c => c == '1') - 0.3 * response.Count(c => c == '0');

    [Fact]
    public void Rloo_is_n_over_n_minus_1_times_dr_grpo()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        var rewards = randn([12], ScalarType.Float64, generator: generator);
        int[] groups = [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2];
        var (rloo, distance) = (GroupAdvantages.Rloo(rewards, groups).data<double>().ToArray(), GroupAdvantages.Grpo(rewards, groups, GroupScaling.None).data<double>().ToArray());
        for (var row = 0; row < 12; row++)
        {
            var n = groups.Count(group => group == groups[row]);
            Assert.Equal(distance[row] * n / (n - 1), rloo[row], 1e-14);
        }
        // Divided by their own deviation both are the same: n/(n − 1) falls out where all groups are of one size.
        var (one, other) = (rewards.narrow(0, 0, 12), Enumerable.Range(0, 12).Select(row => row / 4).ToArray());
        Assert.All(
            GroupAdvantages.Rloo(one, other, GroupScaling.AdvantageDeviation, epsilon: 0).data<double>().ToArray().Zip(GroupAdvantages.Grpo(one, other, GroupScaling.AdvantageDeviation, epsilon: 0).data<double>().ToArray()),
            pair => Assert.Equal(pair.First, pair.Second, 1e-13));
    }

    [Fact]
    public void Grpo_where_the_deviation_is_1_is_dr_grpo()
    {
        using var scope = NewDisposeScope();
        // −1, 0, 1: squares sum to 2, over n − 1 = 2.
        var rewards = tensor(new[] { 4.0, 5, 6, -1, 0, 1 });
        int[] groups = [0, 0, 0, 1, 1, 1];
        double[] expected = [-1, 0, 1, -1, 0, 1];
        Assert.Equal(expected, GroupAdvantages.Grpo(rewards, groups, epsilon: 0).data<double>().ToArray());
        Assert.Equal(expected, GroupAdvantages.Grpo(rewards, groups, GroupScaling.None).data<double>().ToArray());
    }

    [Theory]
    [InlineData(GroupScaling.None, 0.875, -0.125)]
    // The deviation with n − 1 is √(1/8): 0.875 · √8 and −0.125 · √8.
    [InlineData(GroupScaling.GroupDeviation, 2.4748737, -0.3535534)]
    public void One_success_in_eight_by_hand(GroupScaling scaling, double success, double failure)
    {
        using var scope = NewDisposeScope();
        var advantages = GroupAdvantages.Grpo(tensor(new[] { 0, 0, 1.0, 0, 0, 0, 0, 0 }), [1, 1, 1, 1, 1, 1, 1, 1], scaling, epsilon: 1e-6).data<double>().ToArray();
        for (var row = 0; row < 8; row++) Assert.Equal(row == 2 ? success : failure, advantages[row], 1e-5);
    }

    [Theory]
    [InlineData(GroupScaling.None)]
    [InlineData(GroupScaling.GroupDeviation)]
    [InlineData(GroupScaling.BatchDeviation)]
    [InlineData(GroupScaling.AdvantageDeviation)]
    public void Equal_rewards_and_a_group_of_one_give_exactly_0_beside_others_that_do_not(GroupScaling scaling)
    {
        using var scope = NewDisposeScope();
        var rewards = tensor(new[] { 0.7, 0.7, 0.7, 5.0, 1.0, 2.0 });
        int[] groups = [0, 0, 0, 1, 2, 2];
        var advantages = GroupAdvantages.Grpo(rewards, groups, scaling, epsilon: 0).data<double>().ToArray();
        Assert.Equal([0.0, 0, 0, 0], advantages[..4]);
        Assert.True(advantages[5] > 0.1 && advantages[4] == -advantages[5]);
        Assert.Equal([false, false, false, false, true, true], GroupAdvantages.HaveSpread(rewards, groups));
    }

    [Fact]
    public void Dapo_with_one_range_and_all_groups_is_grpo_by_tokens()
    {
        var dapo = Presets.Dapo(4);
        Assert.Equal(Weights(Presets.Grpo(4)), Weights(dapo with { PolicyLoss = dapo.PolicyLoss with { ClipRangeHigh = null }, Groups = new() }));
        Assert.NotEqual(Weights(Presets.Grpo(4)), Weights(dapo with { Groups = new() }));
        Assert.NotEqual(Weights(Presets.Grpo(4)), Weights(dapo with { PolicyLoss = new() }));
    }

    [Fact]
    public void Where_lengths_are_equal_the_normalisers_are_one_up_to_a_constant()
    {
        using var scope = NewDisposeScope();
        var (logProbs, old, advantages, mask) = Rows(lengths: [3, 3, 3, 3]);
        double[] losses = [.. new[] { LossReduction.TokenMean, LossReduction.RowMean, LossReduction.RowSum, LossReduction.MaxLength }.Select(reduction =>
            ClippedPolicyLoss.Compute(logProbs, old, advantages, mask, 0.2, reduction, MaskedReduction.Denominator(mask, reduction, maxLength: 7)).Loss.item<double>())];
        Assert.Equal(losses[0], losses[1], 1e-14);
        Assert.Equal(losses[0], losses[2] / 3, 1e-14);
        Assert.Equal(losses[0], losses[3] * 7 / 3, 1e-14);
        Assert.True(Math.Abs(losses[0]) > 1e-3);
    }

    [Fact]
    public void The_ratio_of_a_response_of_one_token_is_the_token_s()
    {
        using var scope = NewDisposeScope();
        var (logProbs, old, advantages, mask) = Rows(lengths: [1, 1, 1, 1]);
        double[] losses = [.. Enum.GetValues<RatioLevel>().Select(level => Of(logProbs, old, advantages, mask, level).Loss.item<double>())];
        Assert.All(losses, loss => Assert.Equal(losses[0], loss, 1e-14));
        Assert.True(Math.Abs(losses[0]) > 1e-3);
    }

    [Fact]
    public void At_ratio_1_gspo_s_gradient_is_that_of_the_row_mean_and_the_whole_row_s_ratio_weighs_by_length()
    {
        using var scope = NewDisposeScope();
        var (logProbs, _, advantages, mask) = Rows(lengths: [1, 2, 4, 3]);
        var token = Gradient(RatioLevel.Token);
        Assert.All(token.Zip(Gradient(RatioLevel.Sequence)), pair => Assert.Equal(pair.First, pair.Second, 1e-14));
        // d/dℓ of a row's product is 1 for each token where that of its mean is 1/A.
        int[] lengths = [1, 2, 4, 3];
        Assert.All(token.Zip(Gradient(RatioLevel.SequenceProduct)).Select((pair, i) => (pair, i)), at => Assert.Equal(at.pair.First * lengths[at.i / 4], at.pair.Second, 1e-14));
        Assert.Contains(token, gradient => Math.Abs(gradient) > 1e-2);

        double[] Gradient(RatioLevel level)
        {
            using var leaf = logProbs.detach().clone().requires_grad_();
            Of(leaf, logProbs, advantages, mask, level).Loss.backward();
            return leaf.grad!.data<double>().ToArray();
        }
    }

    // Old probability 1, so that the ratio is π; range 0.2 below and 0.4 above.
    [Theory]
    [InlineData(1.3, 2.0, null, -2.6, -2.6)]     // inside the wider range: still pushed
    [InlineData(1.5, 2.0, null, -2.8, 0.0)]      // above it
    [InlineData(0.7, -2.0, null, 1.6, 0.0)]      // below the narrower one
    [InlineData(5.0, -2.0, null, 10.0, 10.0)]    // a bad action that has become likely
    [InlineData(5.0, -2.0, 3.0, 6.0, 0.0)]       // bounded: 3 · 2
    [InlineData(2.0, -2.0, 3.0, 4.0, 4.0)]       // within the bound
    [InlineData(5.0, 2.0, 3.0, -2.8, 0.0)]       // a good one is clipped anyway
    public void A_range_of_its_own_above_and_a_bound_for_bad_actions_by_hand(double ratio, double advantage, double? dualClip, double loss, double gradient)
    {
        using var scope = NewDisposeScope();
        var logProbs = tensor(new[,] { { Math.Log(ratio) } }).requires_grad_();
        var actual = ClippedPolicyLoss.Compute(
            logProbs, zeros_like(logProbs), tensor(new[,] { { advantage } }), ones_like(logProbs), new PolicyLossSettings { ClipRange = 0.2, ClipRangeHigh = 0.4, DualClip = dualClip });
        actual.Loss.backward();
        Assert.Equal(loss, actual.Loss.item<double>(), 1e-12);
        Assert.Equal(gradient, logProbs.grad!.item<double>(), 1e-12);
        Assert.Equal(gradient == 0 ? 1 : 0, actual.Statistics.ClipFraction);
    }

    [Theory]
    [InlineData(5.0, 2.0, -2.8)]     // the weight is 1.4, the gradient goes on
    [InlineData(5.0, -2.0, 2.8)]
    [InlineData(0.1, -2.0, 0.2)]     // no bound from below
    public void Cispo_weighs_the_gradient_of_every_token(double ratio, double advantage, double gradient)
    {
        using var scope = NewDisposeScope();
        var logProbs = tensor(new[,] { { Math.Log(ratio) } }).requires_grad_();
        ClippedPolicyLoss.Compute(
            logProbs, zeros_like(logProbs), tensor(new[,] { { advantage } }), ones_like(logProbs), new PolicyLossSettings { Surrogate = PolicySurrogate.Cispo, ClipRangeHigh = 0.4 }).Loss.backward();
        Assert.Equal(gradient, logProbs.grad!.item<double>(), 1e-12);
    }

    [Theory]
    [InlineData("dr_grpo")]
    [InlineData("dapo")]
    [InlineData("gspo")]
    [InlineData("cispo")]
    [InlineData("rloo by rows")]
    [InlineData("reinforce_plus_plus")]
    [InlineData("kl")]
    public void Any_split_into_micro_batches_gives_the_same_gradient(string name)
    {
        var grpo = Presets.Grpo(4);
        var algorithm = name switch
        {
            "cispo" => grpo with { PolicyLoss = new() { Surrogate = PolicySurrogate.Cispo, Reduction = LossReduction.RowMean } },
            "rloo by rows" => Presets.Rloo(4) with { PolicyLoss = new() { Ratio = RatioLevel.SequenceProduct, Reduction = LossReduction.RowMean } },
            "kl" => grpo with { PolicyLoss = new() { Ratio = RatioLevel.Sequence } },
            _ => Presets.Named(name, 0)!,
        };
        var whole = Weights(algorithm, setup => With(setup, 0));
        foreach (var rows in new[] { 1, 3, 17 }) Assert.All(whole.Zip(Weights(algorithm, setup => With(setup, rows))), pair => Assert.Equal(pair.First, pair.Second, 1e-4));

        // Adam divides by tiny second moments at first, where rounding would be magnified.
        TrainingSetup With(TrainingSetup setup, int rows) => setup with
        {
            Update = setup.Update with { RowsPerMicroBatch = rows, AdamEpsilon = 1e-3 },
            Kl = name == "kl" ? new() { Coefficient = 0.3, Placement = KlPlacement.Loss, Reduction = LossReduction.RowMean, ImportanceWeighted = true } : setup.Kl,
        };
    }

    [Theory]
    [InlineData(LossReduction.TokenMean)]
    [InlineData(LossReduction.RowMean)]
    [InlineData(LossReduction.RowSum)]
    [InlineData(LossReduction.MaxLength)]
    public void Rows_of_equal_groups_leave_the_denominators(LossReduction reduction)
    {
        // Fixed lengths: each row counts the same in every reduction. One step, so that the gradient is that of the loss.
        var (kept, left) = (First(EqualGroups.Keep), First(EqualGroups.LeaveOut));
        var share = kept["groups/equal"];
        Assert.InRange(share, 0.1, 0.9);
        Assert.Equal(share, left["groups/equal"]);
        Assert.Equal(kept["policy/gradient_norm"] / (1 - share), left["policy/gradient_norm"], 1e-4 * left["policy/gradient_norm"]);

        IReadOnlyDictionary<string, double> First(EqualGroups equal)
        {
            using var policy = new TabularModel(3, 3, null);
            var setup = ToyRun.Setup(policy, Presets.Grpo(4) with { Groups = new() { Equal = equal } }, null, response => response == "111" || response[0] == '2' ? 1 : 0, iterations: 1);
            return ToyRun.Run(setup with { Update = setup.Update with { Epochs = 1, RowsPerMinibatch = 64, Reduction = reduction } })[0].Metrics;
        }
    }

    [Fact]
    public void What_the_longest_response_is_divides_and_not_what_was_written()
    {
        // Responses may have 4 tokens, and the second always is the end.
        var (sum, mean) = (Norm(LossReduction.RowSum), Norm(LossReduction.MaxLength));
        Assert.True(sum > 1e-2);
        Assert.Equal(sum / 4, mean, 1e-5 * sum);

        static double Norm(LossReduction reduction)
        {
            using var policy = new TabularModel(3, 4, 2, prefix => prefix.Length == 0 ? [0, 0, -50] : [-50, -50, 50]);
            var setup = ToyRun.Setup(policy, Presets.Grpo(4), null, response => response[0] - '0', iterations: 1);
            var metrics = ToyRun.Run(setup with { Update = setup.Update with { Epochs = 1, RowsPerMinibatch = 64, Reduction = reduction } })[0].Metrics;
            Assert.Equal(2, metrics["response/length"]);
            return metrics["policy/gradient_norm"];
        }
    }

    [Fact]
    public void Where_all_groups_are_equal_and_left_out_no_step_is_made()
    {
        using var policy = new TabularModel(3, 3, 2);
        using var reference = new TabularModel(3, 3, 2, _ => [0, 1, 0]);
        var start = policy.Logit.data<float>().ToArray();
        var setup = ToyRun.Setup(policy, Presets.Dapo(4), null, _ => 0.7, iterations: 3) with { Reference = reference, Kl = new() { Coefficient = 1 } };
        var records = ToyRun.Run(setup);
        Assert.All(records, record => Assert.Equal((1, 0), (record.Metrics["groups/equal"], record.Metrics["policy/gradient_norm"])));
        Assert.Equal(start, policy.Logit.data<float>().ToArray());
        // Kept, their tokens hold the policy back by the KL.
        ToyRun.Run(setup with { Algorithm = Presets.Dapo(4) with { Groups = new() } });
        Assert.NotEqual(start, policy.Logit.data<float>().ToArray());
    }

    [Fact]
    public void Left_out_rewards_count_in_no_deviation()
    {
        using var scope = NewDisposeScope();
        // Group 0: 0 and 1; group 1: both 100.
        var batch = RolloutBatch.From([Row(0), Row(0), Row(1), Row(1)]);
        var rewards = tensor(new[,] { { 0f }, { 1f }, { 100f }, { 100f } });
        var algorithm = Presets.Grpo(2) with { Groups = new() { Scaling = GroupScaling.BatchDeviation, Epsilon = 0, Equal = EqualGroups.LeaveOut } };
        var expected = Math.Sqrt(0.5);
        float[] advantages = EstimatedAdvantages.Of(algorithm, batch, rewards, null).Advantages.data<float>().ToArray();
        Assert.Equal(-0.5 / expected, advantages[0], 1e-6);
        Assert.Equal(0.5 / expected, advantages[1], 1e-6);
        Assert.Equal([0f, 0f], advantages[2..]);
        Assert.True(EstimatedAdvantages.Of(algorithm with { Groups = algorithm.Groups with { Equal = EqualGroups.Keep } }, batch, rewards, null).Advantages[1, 0].item<float>() < 0.02);
    }

    [Fact]
    public void Reinforce_s_advantage_is_the_discounted_return_less_the_penalties()
    {
        using var scope = NewDisposeScope();
        var batch = RolloutBatch.From([Row(0, 0, 1, 2), Row(1, 1)]);
        var rewards = tensor(new[,] { { 0, 1, 2f }, { 4, 0, 0 } });
        var penalties = tensor(new[,] { { 0.5f, 0, 1 }, { 1, 0, 0 } });
        // From the end: 2 − 1 = 1; 1 + ½ · 1 = 1.5; −0.5 + ½ · 1.5 = 0.25.
        var estimated = EstimatedAdvantages.Of(Presets.ReinforcePlusPlus() with { Gamma = 0.5 }, batch, rewards, null, penalties);
        Assert.Equal([0.25f, 1.5f, 1, 3, 0, 0], estimated.Advantages.data<float>().ToArray());
        Assert.Null(estimated.Returns);
        Assert.Null(estimated.Penalties);
    }

    [Theory]
    [InlineData("dr_grpo")]
    [InlineData("dapo")]
    [InlineData("gspo")]
    [InlineData("reinforce_plus_plus")]
    public void Each_preset_learns(string name)
    {
        using var policy = new TabularModel(3, 3, 2);
        var before = ToyRun.ExpectedReward(policy, Reward);
        ToyRun.Run(ToyRun.Setup(policy, Presets.Named(name, 0)!, null, Reward, iterations: 20));
        Assert.True(ToyRun.ExpectedReward(policy, Reward) > before + 0.3, $"{name}: {before} → {ToyRun.ExpectedReward(policy, Reward)}");
    }

    private static float[] Weights(AlgorithmSettings algorithm, Func<TrainingSetup, TrainingSetup>? change = null)
    {
        using var policy = new TabularModel(3, 3, 2);
        // Rewards that often tie, so that leaving groups out is seen.
        var setup = ToyRun.Setup(policy, algorithm, null, response => response.StartsWith('1') ? 1 : 0, iterations: 4);
        setup = setup with { Update = new UpdateSettings { Epochs = 3, RowsPerMinibatch = 32, LearningRate = 0.2, MaxGradientNorm = 100, AdamEpsilon = 1e-8 } };
        ToyRun.Run(change?.Invoke(setup) ?? setup);
        return [.. policy.Logit.data<float>()];
    }

    private static PolicyLoss Of(Tensor logProbs, Tensor old, Tensor advantages, Tensor mask, RatioLevel level) =>
        ClippedPolicyLoss.Compute(logProbs, old, advantages, mask, new PolicyLossSettings { Ratio = level, Reduction = LossReduction.RowMean });

    /// <summary>Four rows of up to four tokens, whose ratios leave the clip range on both sides.</summary>
    private static (Tensor LogProbs, Tensor Old, Tensor Advantages, Tensor Mask) Rows(int[] lengths)
    {
        using var generator = new Generator(5);
        var old = -rand([4, 4], ScalarType.Float64, generator: generator) - 0.5;
        var logProbs = old + 0.4 * randn([4, 4], ScalarType.Float64, generator: generator);
        var advantages = randn([4, 1], ScalarType.Float64, generator: generator).expand(4, 4);
        return (logProbs, old, advantages, arange(4).unsqueeze(0) < tensor(lengths).unsqueeze(1));
    }

    private static Rollout Row(int group, params int[] tokens) => new()
    {
        Prompt = new("", []), Tokens = tokens.Length == 0 ? [0] : tokens, Text = "", RollInLength = 0, Plan = new RolloutPlan(Actor.Policy, Actor.Policy, 0, RollInLengths.Inside), Ended = true, Group = group,
        LogProbs = [.. Enumerable.Repeat(-1f, Math.Max(1, tokens.Length))], Choices = [.. Enumerable.Repeat(TokenSet.All, Math.Max(1, tokens.Length))],
    };
}
