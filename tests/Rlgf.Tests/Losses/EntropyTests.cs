using Rlgf.Losses;
using static TorchSharp.torch;

namespace Rlgf.Tests.Losses;

public class EntropyTests
{
    [Fact]
    public void Golden_entropies_and_gradients_are_met()
    {
        using var scope = NewDisposeScope();
        var met = new List<string>();
        foreach (var golden in Golden.Cases("rl/entropy.json"))
        {
            var logits = golden.Tensor("logits").requires_grad_();
            var name = golden.GetProperty("name").GetString()!;
            met.Add(name);
            if (golden.TryGetProperty("temperatures", out var temperatures))
            {
                for (var i = 0; i < temperatures.GetArrayLength(); i++)
                    Golden.AssertClose(golden.GetProperty("entropy")[i], Entropy.OfLogits(logits, temperatures[i].GetDouble()), name);
                continue;
            }
            var entropy = Entropy.OfLogits(logits);
            Golden.AssertClose(golden.GetProperty("entropy"), entropy, name);
            if (!golden.TryGetProperty("mask", out var mask)) continue;
            var mean = MaskedReduction.Apply(entropy, mask.Tensor(), LossReduction.TokenMean);
            mean.backward();
            Golden.AssertClose(golden.GetProperty("mean"), mean, name);
            Golden.AssertClose(golden.GetProperty("gradient_of_mean"), logits.grad, name);
        }
        Assert.Equal(["ragged", "all_empty", "minus_infinity", "temperature"], met);
    }

    [Fact]
    public void Banned_tokens_get_a_gradient_of_zero()
    {
        using var scope = NewDisposeScope();
        // p = (¼, ¾, 0). dH/dlogit_v = −p_v (log p_v + H).
        var logits = tensor(new[] { 0.0, Math.Log(3), double.NegativeInfinity }).requires_grad_();
        Entropy.OfLogits(logits).backward();
        var h = 0.25 * Math.Log(4) + 0.75 * Math.Log(4.0 / 3);
        Golden.AssertClose(tensor(new[] { -0.25 * (Math.Log(0.25) + h), -0.75 * (Math.Log(0.75) + h), 0.0 }), logits.grad, "gradient");
    }
}
