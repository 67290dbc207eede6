using Rlgf.Base;
using Rlgf.Losses;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Losses;

public class ClippedPolicyLossTests
{
    public static TheoryData<string, LossReduction> Reductions => new()
    {
        { "token_mean", LossReduction.TokenMean }, { "row_mean", LossReduction.RowMean }, { "row_sum", LossReduction.RowSum },
    };

    [Theory, MemberData(nameof(Reductions))]
    public void Golden_losses_and_gradients_are_met(string name, LossReduction reduction)
    {
        using var scope = NewDisposeScope();
        foreach (var golden in Golden.Cases("rl/ppo_policy_loss.json"))
        {
            var logits = golden.Tensor("logits").requires_grad_();
            var actual = Compute(golden, logits, reduction);
            actual.Loss.backward();
            var expected = golden.GetProperty("losses").GetProperty(name);
            var what = $"{golden.GetProperty("name")} {name}";
            Golden.AssertClose(expected.GetProperty("loss"), actual.Loss, what);
            Golden.AssertClose(expected.GetProperty("gradient"), logits.grad, what);
        }
    }

    [Fact]
    public void Golden_statistics_are_met()
    {
        using var scope = NewDisposeScope();
        foreach (var golden in Golden.Cases("rl/ppo_policy_loss.json"))
        {
            var actual = Compute(golden, golden.Tensor("logits"), LossReduction.TokenMean).Statistics;
            var expected = golden.GetProperty("statistics");
            Assert.Equal((long)golden.Tensor("mask").sum().item<double>(), actual.Tokens);
            Golden.AssertClose(expected.Number("clip_fraction"), actual.ClipFraction, "clip fraction");
            Golden.AssertClose(expected.Number("mean_ratio"), actual.MeanRatio, "mean ratio");
            Golden.AssertClose(expected.Number("approx_kl_k1"), actual.ApproxKlK1, "k1");
            Golden.AssertClose(expected.Number("approx_kl_k2"), actual.ApproxKlK2, "k2");
            Golden.AssertClose(expected.Number("approx_kl_k3"), actual.ApproxKlK3, "k3");
        }
    }

    // Clip range 0.2, π_old = 1 (log 0), so that the ratio is π. dρ/d log π = ρ.
    [Theory]
    [InlineData(1.1, 2.0, -2.2, -2.2, 0)]    // inside, good action: −2·1.1; gradient −2·1.1
    [InlineData(1.1, -2.0, 2.2, 2.2, 0)]     // inside, bad action
    [InlineData(1.5, 2.0, -2.4, 0.0, 1)]     // above, good: max(−3, −2.4), pushed far enough, no gradient
    [InlineData(1.5, -2.0, 3.0, 3.0, 0)]     // above, bad: max(3, 2.4), must still come down
    [InlineData(0.5, 2.0, -1.0, -1.0, 0)]    // below, good: max(−1, −1.6), must still come up
    [InlineData(0.5, -2.0, 1.6, 0.0, 1)]     // below, bad: max(1, 1.6), pushed far enough, no gradient
    public void Each_branch_of_the_clip_by_hand(double ratio, double advantage, double loss, double gradient, double clipFraction)
    {
        using var scope = NewDisposeScope();
        var logProbs = tensor(new[,] { { Math.Log(ratio) } }).requires_grad_();
        var actual = ClippedPolicyLoss.Compute(logProbs, zeros_like(logProbs), tensor(new[,] { { advantage } }), ones_like(logProbs), 0.2);
        actual.Loss.backward();
        Golden.AssertClose(loss, actual.Loss.item<double>(), "loss");
        Golden.AssertClose(gradient, logProbs.grad!.item<double>(), "gradient");
        Golden.AssertClose(clipFraction, actual.Statistics.ClipFraction, "clip fraction");
    }

    [Theory, MemberData(nameof(Reductions))]
    public void Parts_of_a_batch_with_its_denominator_sum_to_the_whole(string name, LossReduction reduction)
    {
        using var scope = NewDisposeScope();
        foreach (var golden in Golden.Cases("rl/ppo_policy_loss.json"))
        {
            var logits = golden.Tensor("logits").requires_grad_();
            var mask = golden.Tensor("mask");
            var denominator = MaskedReduction.Denominator(mask, reduction);
            var logProbs = LogProbs(logits, golden.Tensor("actions"));
            var parts = new List<PolicyLossStatistics>();
            var loss = 0.0;
            foreach (var (start, count) in new[] { (0, 1), (1, 2) })
            {
                Tensor Part(Tensor x) => x.narrow(0, start, count);
                var part = ClippedPolicyLoss.Compute(
                    Part(logProbs), Part(golden.Tensor("old_log_probs")), Part(golden.Tensor("advantages")), Part(mask), golden.Number("clip"), reduction, denominator);
                part.Loss.backward(retain_graph: true);
                loss += part.Loss.item<double>();
                parts.Add(part.Statistics);
            }
            var expected = golden.GetProperty("losses").GetProperty(name);
            Golden.AssertClose(expected.Number("loss"), loss, name);
            Golden.AssertClose(expected.GetProperty("gradient"), logits.grad, name);
            Golden.AssertClose(golden.GetProperty("statistics").Number("approx_kl_k3"), TermStatistics.Merge([.. parts.Select(part => new TermStatistics(part.Tokens, new Dictionary<string, double> { ["k3"] = part.ApproxKlK3 }))]).Means["k3"], name);
        }
    }

    [Theory, MemberData(nameof(Reductions))]
    public void An_empty_mask_gives_exactly_zero_whatever_lies_beneath(string name, LossReduction reduction)
    {
        using var scope = NewDisposeScope();
        var logProbs = full([2, 3], double.NaN, ScalarType.Float64).requires_grad_();
        var nothing = zeros([2, 3], ScalarType.Bool);
        var actual = ClippedPolicyLoss.Compute(logProbs, logProbs, logProbs, nothing, 0.2, reduction, reduction == LossReduction.RowSum ? null : 0);
        actual.Loss.backward();
        Assert.True(actual.Loss.item<double>() == 0, name);
        Assert.All(logProbs.grad!.data<double>().ToArray(), g => Assert.True(g == 0));
        Assert.Equal(default, actual.Statistics);
    }

    [Fact]
    public void No_gradient_reaches_the_old_log_probabilities_or_the_advantages()
    {
        using var scope = NewDisposeScope();
        Tensor Leaf() => rand([2, 3], ScalarType.Float64).requires_grad_();
        Tensor logProbs = Leaf(), old = Leaf(), advantages = Leaf();
        ClippedPolicyLoss.Compute(logProbs, old, advantages, ones([2, 3]), 0.2).Loss.backward();
        Assert.NotNull(logProbs.grad);
        Assert.Null(old.grad);
        Assert.Null(advantages.grad);
    }

    [Fact]
    public void Only_the_loss_and_its_sums_outlive_the_call()
    {
        using var scope = NewDisposeScope();
        var x = rand([2, 3]).requires_grad_();
        var mask = ones([2, 3]);
        var before = scope.DisposablesCount;
        _ = ClippedPolicyLoss.Compute(x, x, x, mask, 0.2);
        Assert.Equal(before + 2, scope.DisposablesCount);
    }

    [Fact]
    public void A_clip_range_of_zero_is_refused()
    {
        using var scope = NewDisposeScope();
        var x = zeros([1, 1]);
        Assert.Throws<InputException>(() => ClippedPolicyLoss.Compute(x, x, x, x, 0));
    }

    private static PolicyLoss Compute(System.Text.Json.JsonElement golden, Tensor logits, LossReduction reduction) => ClippedPolicyLoss.Compute(
        LogProbs(logits, golden.Tensor("actions")), golden.Tensor("old_log_probs"), golden.Tensor("advantages"), golden.Tensor("mask"), golden.Number("clip"), reduction);

    private static Tensor LogProbs(Tensor logits, Tensor actions) => logits.log_softmax(-1).gather(-1, actions.to(ScalarType.Int64).unsqueeze(-1)).squeeze(-1);
}
