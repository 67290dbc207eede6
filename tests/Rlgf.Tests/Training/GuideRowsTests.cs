using Rlgf.Advantages;
using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Losses;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>Whole answers of the guide as rows of a group: who is compared with whom, and what their tokens teach.</summary>
public sealed class GuideRowsTests
{
    private static readonly Func<string, double> Reward = response => response.StartsWith("12", StringComparison.Ordinal) ? 1 : 0;

    private static readonly IGuide Guide = ToyRun.Guide(3, 2, text => text.Length == 0 ? [0, 1, 0] : [0, 0, 1]);

    [Fact]
    public void One_success_of_eight_has_the_advantages_of_the_hand()
    {
        using var scope = NewDisposeScope();
        var rewards = tensor(new double[] { 0, 0, 0, 0, 0, 0, 0, 1 });
        int[] group = new int[8];
        bool[] unguided = [true, true, true, true, true, true, true, false];
        Assert.Equal((-0.125, 0.875), Of(GroupAdvantages.Grpo(rewards, group, GroupScaling.None)));
        // Deviation √(1/8) by n − 1.
        Assert.Equal((-0.35355, 2.47487), Of(GroupAdvantages.Grpo(rewards, group, GroupScaling.GroupDeviation, epsilon: 1e-6)));
        // Compared with the policy's rows alone, which are all equal: their own advantage is nothing, the guide's its distance from them.
        foreach (var scaling in new[] { GroupScaling.None, GroupScaling.GroupDeviation })
        {
            Assert.Equal((0, 1), Of(GroupAdvantages.Grpo(rewards, group, scaling, isBaseline: unguided)));
            Assert.Equal((0, 1), Of(GroupAdvantages.Rloo(rewards, group, scaling, isBaseline: unguided)));
        }
        Assert.Equal((0, 0), Of(GroupAdvantages.Grpo(ones(8), group, GroupScaling.None, isBaseline: unguided)));
        // One of the policy's rows succeeds too: mean 1/7 of the seven; the guide is not among them, so that RLOO compares it with all seven and each of them with six.
        var two = tensor(new double[] { 1, 0, 0, 0, 0, 0, 0, 1 });
        Assert.Equal([6.0 / 7, -1.0 / 7, 6.0 / 7], Some(GroupAdvantages.Grpo(two, group, GroupScaling.None, isBaseline: unguided)), new Close());
        Assert.Equal([1.0, -1.0 / 6, 6.0 / 7], Some(GroupAdvantages.Rloo(two, group, isBaseline: unguided)), new Close());
        // Nobody alone: compared over all.
        Assert.Equal((-0.125, 0.875), Of(GroupAdvantages.Grpo(rewards, group, GroupScaling.None, isBaseline: new bool[8])));

        static (double, double) Of(Tensor advantages)
        {
            var values = advantages.to(ScalarType.Float64).data<double>().ToArray();
            Assert.Single(values[..7].Distinct());
            return (Math.Round(values[0], 5), Math.Round(values[7], 5));
        }

        static double[] Some(Tensor advantages) => advantages.data<double>().ToArray() is var values ? [values[0], values[1], values[7]] : [];
    }

    [Theory]
    [InlineData(GuideCreditShape.LogProbability, 0.1)]
    [InlineData(GuideCreditShape.Probability, 0.1)]
    [InlineData(GuideCreditShape.Shaped, 0.1)]
    [InlineData(GuideCreditShape.Shaped, 0.3)]
    public void The_gradient_on_the_logarithm_is_the_shapes_weight(GuideCreditShape shape, double gamma)
    {
        using var scope = NewDisposeScope();
        double[] p = [1e-6, 0.01, 0.1, 0.5, 1];
        double[] advantages = [0.875, -0.125, 1, -2, 0.5];
        var logProbs = tensor(p).log().reshape(1, 5).requires_grad_();
        var weights = GuideCredit.Weights(tensor(advantages).reshape(1, 5), ones([1, 5]), GuideCreditWeight.Signed);
        GuideCredit.Weighted(logProbs, weights, ones([1, 5]), coefficient: 2, shape: shape, gamma: gamma).backward();
        var gradient = logProbs.grad!.data<double>().ToArray();
        for (var i = 0; i < p.Length; i++)
        {
            var weight = shape switch { GuideCreditShape.LogProbability => 1, GuideCreditShape.Probability => p[i], _ => gamma * p[i] / ((p[i] + gamma) * (p[i] + gamma)) };
            Assert.Equal(-2 * advantages[i] * weight / 5, gradient[i], 1e-12);
        }
    }

    [Fact]
    public void A_large_gamma_is_the_unshaped_probability()
    {
        using var scope = NewDisposeScope();
        var logProbs = tensor(new[] { 1e-6, 0.01, 0.1, 0.5, 1 }).log().reshape(1, 5);
        var (weights, mask) = (tensor(new[] { 1.0, 2, 3, 4, 5 }).reshape(1, 5), ones([1, 5]));
        const double Gamma = 1e7;
        var shaped = GuideCredit.Weighted(logProbs, weights, mask, Gamma, shape: GuideCreditShape.Shaped, gamma: Gamma).item<double>();
        Assert.Equal(GuideCredit.Weighted(logProbs, weights, mask, 1, shape: GuideCreditShape.Probability).item<double>(), shaped, 1e-6);
    }

    [Fact]
    public void The_last_rows_of_each_group_are_whole_answers_of_the_guide_and_the_policys_loss_does_not_touch_them()
    {
        var (rows, advantages) = Rows(Presets.Luffy(4, guideRows: 1));
        Assert.Equal(64, rows.Count);
        foreach (var group in rows.Select((row, at) => (row, at)).GroupBy(pair => pair.row.Group))
        {
            var members = group.ToArray();
            Assert.All(members[..3], member => Assert.True(member.row.IsByPolicyAlone));
            // Its end included.
            Assert.Equal(("12", 2, true), (string.Concat(members[3].row.Tokens), members[3].row.RollInLength, members[3].row.Ended));
            var rewards = members.Select(member => Reward(string.Concat(member.row.Tokens))).ToArray();
            Assert.All(members.Zip(rewards), pair => Assert.Equal(pair.Second - rewards.Average(), advantages[pair.First.at][0], 1e-6));
        }
        // Compared with the policy's three alone.
        var (again, alone) = Rows(Presets.Luffy(4) with { Groups = new() { Scaling = GroupScaling.None, Baseline = GroupBaseline.Unguided } });
        foreach (var group in again.Select((row, at) => (row, at)).GroupBy(pair => pair.row.Group))
        {
            var mean = group.Where(pair => pair.row.IsUnguided).Average(pair => Reward(string.Concat(pair.row.Tokens)));
            Assert.Equal(3, group.Count(pair => pair.row.IsUnguided));
            Assert.All(group, pair => Assert.Equal(Reward(string.Concat(pair.row.Tokens)) - mean, alone[pair.at][0], 1e-6));
        }
    }

    [Fact]
    public void Without_a_row_of_the_guide_it_is_its_base_and_with_one_a_token_weighs_the_same_whoever_wrote_it()
    {
        Assert.Equal(Weights(Presets.Luffy(4) with { GuideCredit = 0, GuideRows = 0 }), Weights(Presets.Luffy(4) with { GuideRows = 0 }));
        Assert.NotEqual(Weights(Presets.Luffy(4) with { GuideCredit = 0 }), Weights(Presets.Luffy(4)));
        // At the point where rows were sampled the policy's loss has the gradient −Â/(rows · H) on each log-probability, and by the shape log p so have the guide's tokens: rows · H divide both.
        using var scope = NewDisposeScope();
        using var policy = new TabularModel(3, 3, 2);
        var spy = new SpyTerm();
        var algorithm = Presets.Luffy(4) with { GuideCreditShape = GuideCreditShape.LogProbability };
        var setup = ToyRun.Setup(policy, algorithm, Guide, Reward, iterations: 1);
        setup = setup with { FurtherLossTerms = [spy], Update = setup.Update with { Epochs = 1, RowsPerMinibatch = 64, Reduction = LossReduction.MaxLength } };
        var norm = ToyRun.Run(setup)[0].Metrics["policy/gradient_norm"];
        using var start = new TabularModel(3, 3, 2);
        var logProbs = start.Logit.log_softmax(1);
        var loss = zeros(1);
        foreach (var (row, advantage) in spy.Last!.Rollouts.Zip(spy.Advantages!))
            for (var t = 0; t < row.Tokens.Length; t++) loss -= advantage[t] * logProbs[start.IndexOf(row.Tokens.AsSpan(0, t)), row.Tokens[t]] / (64 * 3);
        loss.backward();
        Assert.Equal(start.Logit.grad!.norm().item<float>(), norm, 1e-5);
    }

    private static (IReadOnlyList<Rollout> Rows, float[][] Advantages) Rows(AlgorithmSettings algorithm)
    {
        using var policy = new TabularModel(3, 3, 2);
        var spy = new SpyTerm();
        ToyRun.Run(ToyRun.Setup(policy, algorithm, Guide, Reward, iterations: 1) with { FurtherLossTerms = [spy] });
        return (spy.Last!.Rollouts, spy.Advantages!);
    }

    private static float[] Weights(AlgorithmSettings algorithm)
    {
        using var policy = new TabularModel(3, 3, 2);
        ToyRun.Run(ToyRun.Setup(policy, algorithm, Guide, Reward, iterations: 3));
        return [.. policy.Logit.data<float>()];
    }

    private sealed class Close : IEqualityComparer<double>
    {
        public bool Equals(double x, double y) => Math.Abs(x - y) < 1e-9;

        public int GetHashCode(double obj) => 0;
    }
}
