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
}
