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
            var length = golden.GetProperty("length").GetInt64();
            var penalties = RewardShaping.Penalties(
                golden.Tensor("log_probs").unsqueeze(0), golden.Tensor("reference_log_probs").unsqueeze(0), tensor(isPolicy).unsqueeze(0), tensor(new[] { length }), golden.Number("kl_coef"), estimator);
            // The score falls on the last token, and the penalties are taken off.
            var rewards = -penalties.squeeze(0);
            if (length > 0) rewards[length - 1] = rewards[length - 1] + golden.Tensor("score").squeeze();
            Golden.AssertClose(golden.GetProperty("rewards").GetProperty(name), rewards, name);
        }
    }

    [Fact]
    public void A_row_without_tokens_padding_that_is_not_a_number_and_the_guides_tokens_give_zero()
    {
        using var scope = NewDisposeScope();
        var nan = double.NaN;
        var logProbs = tensor(new[,] { { nan, nan, nan }, { -1.0, -2.0, nan }, { -1.0, nan, -3.0 } });
        var reference = tensor(new[,] { { nan, nan, nan }, { -1.5, -1.0, nan }, { -3.0, nan, -1.0 } });
        var isPolicy = tensor(new[,] { { true, true, true }, { true, true, true }, { true, false, true } });
        var actual = RewardShaping.Penalties(logProbs, reference, isPolicy, tensor(new long[] { 0, 2, 2 }), 0.5);
        // d = 0.5, −1; 2.
        Golden.AssertClose(tensor(new[,] { { 0.0, 0.0, 0.0 }, { 0.25, -0.5, 0.0 }, { 1.0, 0.0, 0.0 } }), actual, "penalties");
    }
}
