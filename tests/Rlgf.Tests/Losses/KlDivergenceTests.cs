using Rlgf.Losses;
using static TorchSharp.torch;

namespace Rlgf.Tests.Losses;

public class KlDivergenceTests
{
    [Theory]
    [InlineData("k1", KlEstimator.K1)]
    [InlineData("k2", KlEstimator.K2)]
    [InlineData("k3", KlEstimator.K3)]
    public void Golden_estimates_expectations_and_gradients_are_met(string name, KlEstimator estimator)
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Load("rl/kl.json");
        var logits = golden.Tensor("logits").requires_grad_();
        var logPi = logits.log_softmax(-1);
        var logReference = golden.Tensor("reference_logits").log_softmax(-1);

        var estimates = KlDivergence.Estimate(logPi, logReference, estimator);
        Golden.AssertClose(golden.GetProperty("estimates").GetProperty(name), estimates, name);
        Golden.AssertClose(golden.GetProperty("expected").GetProperty(name), (logPi.exp() * estimates).sum(-1), name);

        var actions = golden.Tensor("actions").to(ScalarType.Int64).unsqueeze(-1);
        KlDivergence.Estimate(logPi.gather(-1, actions), logReference.gather(-1, actions), estimator).sum().backward();
        Golden.AssertClose(golden.GetProperty("sampled_gradient").GetProperty(name), logits.grad, name);
    }

    [Fact]
    public void Golden_divergences_and_the_gradient_are_met()
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Load("rl/kl.json");
        var logits = golden.Tensor("logits").requires_grad_();
        var reference = golden.Tensor("reference_logits");
        var divergence = KlDivergence.Exact(logits, reference);
        divergence.sum().backward();
        Golden.AssertClose(golden.GetProperty("kl_pi_reference"), divergence, "KL(π‖π_0)");
        Golden.AssertClose(golden.GetProperty("exact_gradient"), logits.grad, "gradient");
        Golden.AssertClose(golden.GetProperty("kl_reference_pi"), KlDivergence.Exact(reference, logits), "KL(π_0‖π)");
    }

    [Fact]
    public void Banned_tokens_contribute_nothing_and_an_impossible_one_everything()
    {
        using var scope = NewDisposeScope();
        var never = double.NegativeInfinity;
        // π = (½, ½, 0), π_0 = (¼, ¾, 0): KL = ½ ln 2 + ½ ln ⅔, gradient π_v (log π_v/π_0v − KL).
        var logits = tensor(new[] { 0.0, 0.0, never }).requires_grad_();
        var divergence = KlDivergence.Exact(logits, tensor(new[] { 0.0, Math.Log(3), never }));
        divergence.backward();
        double first = Math.Log(2), second = Math.Log(2.0 / 3), kl = 0.5 * first + 0.5 * second;
        Golden.AssertClose(kl, divergence.item<double>(), "divergence");
        Golden.AssertClose(tensor(new[] { 0.5 * (first - kl), 0.5 * (second - kl), 0.0 }), logits.grad, "gradient");

        // π_0 = (1, 0, 0), where half of π is impossible.
        Assert.Equal(double.PositiveInfinity, KlDivergence.Exact(logits, tensor(new[] { 0.0, never, never })).item<double>());
    }
}
