using Rlgf.Advantages;
using Rlgf.Losses;
using static TorchSharp.torch;

namespace Rlgf.Tests.Advantages;

public class RewardShapingTests
{
    [Theory]
    [InlineData("k1", KlEstimator.K1)]
    [InlineData("k2", KlEstimator.K2)]
    [InlineData("k3", KlEstimator.K3)]
    public void Golden_rewards_are_met(string name, KlEstimator estimator)
    {
        using var scope = NewDisposeScope();
        foreach (var golden in Golden.Load("rl/kl.json").GetProperty("shaped_rewards").EnumerateArray())
        {
            bool[] isPolicy = [.. golden.GetProperty("author").EnumerateArray().Select(a => a.GetString() == "Policy")];
            var actual = RewardShaping.Apply(
                golden.Tensor("score").unsqueeze(0), golden.Tensor("log_probs").unsqueeze(0), golden.Tensor("reference_log_probs").unsqueeze(0),
                tensor(isPolicy).unsqueeze(0), tensor(new[] { golden.GetProperty("length").GetInt64() }), golden.Number("kl_coef"), estimator);
            Golden.AssertClose(golden.GetProperty("rewards").GetProperty(name), actual.squeeze(0), name);
        }
    }

    [Fact]
    public void A_row_without_tokens_and_padding_that_is_not_a_number_give_zero()
    {
        using var scope = NewDisposeScope();
        var nan = double.NaN;
        var logProbs = tensor(new[,] { { nan, nan, nan }, { -1.0, -2.0, nan } });
        var reference = tensor(new[,] { { nan, nan, nan }, { -1.5, -1.0, nan } });
        var actual = RewardShaping.Apply(tensor(new[] { 9.0, 3.0 }), logProbs, reference, ones([2, 3], ScalarType.Bool), tensor(new long[] { 0, 2 }), 0.5);
        // d = 0.5, −1. Rewards: −0.5·0.5 = −0.25; 3 + 0.5·1 = 3.5.
        Golden.AssertClose(tensor(new[,] { { 0.0, 0.0, 0.0 }, { -0.25, 3.5, 0.0 } }), actual, "rewards");
    }

    [Fact]
    public void Rewards_per_token_stay_inside_the_row()
    {
        using var scope = NewDisposeScope();
        var zero = zeros([1, 3], ScalarType.Float64);
        var actual = RewardShaping.ApplyPerToken(
            tensor(new[,] { { 1.0, 2.0, 777.0 } }), zero + 1, zero, tensor(new[,] { { true, false, true } }), tensor(new long[] { 2 }), 0.25);
        // d = 1 at every token; only the first is the policy's and inside.
        Golden.AssertClose(tensor(new[,] { { 0.75, 2.0, 0.0 } }), actual, "rewards");
    }
}
