using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Lessons;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using static TorchSharp.torch;

namespace Rlgf.Tests.Lessons;

/// <summary>The loss on remembered rows, by hand on a table of logits, and what lessons are for.</summary>
public sealed class LessonReplayTests
{
    [Fact]
    public void The_loss_and_its_gradient_are_those_of_the_formula()
    {
        using var policy = new TabularModel(3, 2, null, prefix => prefix.Length == 0 ? [0.2, -0.1, 0.4] : [0, 0.3, -0.3]);
        // Responses "01" and "2…": the first is drawn in proportion 2 : 1.
        var rows = new[] { Row([0, 1], reward: 2.0), Row([2, 0], reward: 1) };
        double[] p = policy.Probabilities([]), q0 = policy.Probabilities([0]), q2 = policy.Probabilities([2]);
        double first = Math.Log(p[0]) + Math.Log(q0[1]), second = Math.Log(p[2]) + Math.Log(q2[0]);
        var state = State(rows, rewards: [0, 2]); // s = √2, V = 0
        var setup = Setup(policy, new LessonSettings { Coefficient = 0.5, RowsPerStep = 12 });
        var replay = new LessonReplay(setup, Critics.For(setup), state, klCoefficient: 0, iteration: 3);
        var drawn = state.Memory.Draw(12, 0, new Rlgf.Base.RandomStream(setup.Seed, Rlgf.Base.RandomStream.Combine(0x6C657373, 3, 5)));
        double[] times = [drawn.FirstOrDefault(row => row.Place == 0).Times, drawn.FirstOrDefault(row => row.Place == 1).Times];
        Assert.Equal(12, times.Sum());
        double[] weights = [Math.Min(3, 2 / Math.Sqrt(2)), 1 / Math.Sqrt(2)];
        var loss = -(times[0] * weights[0] * first + times[1] * weights[1] * second) / 24;

        Assert.Equal(loss, replay.Accumulate(5)!.item<double>(), 1e-5);
        // ∂(−log softmax_k)/∂logit_j = p_j − [j = k], times c.
        var gradient = policy.Logit.grad!.data<float>().ToArray();
        for (var j = 0; j < 3; j++)
        {
            var expected = 0.5 * (times[0] * weights[0] * (p[j] - (j == 0 ? 1 : 0)) + times[1] * weights[1] * (p[j] - (j == 2 ? 1 : 0))) / 24;
            Assert.Equal(expected, gradient[policy.IndexOf([]) * 3 + j], 1e-5);
            Assert.Equal(0.5 * times[0] * weights[0] * (q0[j] - (j == 1 ? 1 : 0)) / 24, gradient[policy.IndexOf([0]) * 3 + j], 1e-5);
        }
        Assert.Equal(2, replay.Memory.Rows.Length);
    }

    [Fact]
    public void Parts_sum_to_the_whole()
    {
        Assert.All(Gradients(0).Zip(Gradients(1)), pair => Assert.Equal(pair.First, pair.Second, 1e-6));

        static float[] Gradients(int rowsAtOnce)
        {
            using var policy = new TabularModel(3, 2, null, prefix => [0.1 * prefix.Length, 0.3, -0.3]);
            var setup = Setup(policy, new LessonSettings { RowsPerStep = 12 });
            setup = setup with { Update = setup.Update with { RowsPerMicroBatch = rowsAtOnce } };
            new LessonReplay(setup, Critics.For(setup), State([Row([0, 1], 2), Row([2], 1), Row([1, 1], 1.5)], [0, 2]), 0, 0).Accumulate(0);
            return [.. policy.Logit.grad!.data<float>()];
        }
    }

    [Fact]
    public void A_lesson_whose_price_is_paid_leaves_no_gradient_and_leaves_the_memory()
    {
        using var policy = new TabularModel(3, 2, null);
        // log π = 2 log ⅓; the reference thought e⁴ times less of it: at a coefficient of 0.25 it has cost 1, which is all that it was worth.
        var dear = Row([0, 1], reward: 1) with { ReferenceLogProb = 2 * Math.Log(1.0 / 3) - 4 };
        var setup = Setup(policy, new LessonSettings { RowsPerStep = 4 });
        var replay = new LessonReplay(setup, Critics.For(setup), State([dear], [0, 1]), klCoefficient: 0.25, iteration: 0);
        Assert.Null(replay.Accumulate(0));
        Assert.True(policy.Logit.grad is null || policy.Logit.grad.abs().sum().item<float>() == 0);
        Assert.Empty(replay.Memory.Rows);
        // At half the coefficient it is worth a half, and its price is kept.
        replay = new LessonReplay(setup, Critics.For(setup), State([dear], [0, 1]), klCoefficient: 0.125, iteration: 0);
        Assert.True(replay.Accumulate(0)!.item<double>() > 0);
        Assert.Equal(0.5, Assert.Single(replay.Memory.Rows).Price, 1e-6);
    }

    [Fact]
    public void With_an_empty_memory_and_g_of_1_it_is_PPO_plus_plus()
    {
        var plusPlus = Presets.PpoPlusPlus(beta: 0.5);
        plusPlus = plusPlus with { First = plusPlus.First with { Lengths = RollInLengths.Limit } };
        var lessons = Presets.Adaptive(beta: 0.5) with { Lessons = new() { Capacity = 0, ScalesGuide = false } };
        Assert.Equal(Weights(plusPlus), Weights(lessons));
        Assert.NotEqual(Weights(plusPlus), Weights(lessons with { Lessons = new() { ScalesGuide = false } }));

        static float[] Weights(AlgorithmSettings algorithm)
        {
            using var policy = new TabularModel(3, 3, 2);
            ToyRun.Run(ToyRun.Setup(policy, algorithm, ToyRun.Guide(3, 2, _ => [0.3, 0.5, 0.2]), response => response.Count(c => c == '1') - 0.3 * response.Count(c => c == '0'), iterations: 4));
            return [.. policy.Logit.data<float>()];
        }
    }

    private const string Combination = "12021201";

    private static double Lock(string response) => response == Combination ? 1 : 0;

    [Theory]
    [InlineData(LessonBaseline.RunningMean)]
    [InlineData(LessonBaseline.Prompt)]
    [InlineData(LessonBaseline.Critic)]
    public void A_guide_that_is_almost_never_right_opens_a_lock_before_PPO_plus_plus_does(LessonBaseline baseline)
    {
        // Each digit right in 0.4: 0.4⁸ is 1 answer of 1,500, and 20 iterations ask for 1,152 at most.
        var guide = ToyRun.Guide(8, null, prefix =>
        {
            var p = new double[] { 0.3, 0.3, 0.3 };
            p[Combination[Math.Min(prefix.Length, 7)] - '0'] = 0.4;
            return p;
        });
        using var plusPlus = new TabularModel(3, 8, null);
        ToyRun.Run(ToyRun.Setup(plusPlus, Presets.PpoPlusPlus(0.9), guide, Lock, iterations: 20, seed: 3));
        using var taught = new TabularModel(3, 8, null);
        var records = ToyRun.Run(ToyRun.Setup(taught, Presets.Adaptive() with { Lessons = new() { Baseline = baseline } }, guide, Lock, iterations: 20, seed: 3));
        Assert.InRange(ToyRun.ExpectedReward(plusPlus, Lock), 0, 0.05);
        Assert.InRange(ToyRun.ExpectedReward(taught, Lock), 0.6, 1);
        // And the guide is hardly asked any more.
        Assert.Equal(0.05 * 0.9, records[^1].Metrics["roll_in/probability"], 1e-9);
    }

    private static Lesson Row(int[] response, double reward) => new("", new TokenRow([], response), [.. response.Select(_ => TokenSet.All)], reward, 0, 0);

    private static LessonState State(Lesson[] rows, double[] rewards) => LessonState.New with { Memory = LessonMemory.Empty.With(rows, 99), Rewards = rewards, PolicyRewards = [0] };

    private static TrainingSetup Setup(TabularModel policy, LessonSettings lessons) =>
        ToyRun.Setup(policy, Presets.Adaptive() with { Lessons = lessons }, ToyRun.Guide(2, null, _ => [0.3, 0.3, 0.4]), _ => 0);
}
