using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Losses;

/// <summary>Shannon entropy of the policy's distributions, in nats.</summary>
public static class Entropy
{
    /// <summary>H = −Σ_v p(v) log p(v) with p = softmax(logits / temperature); differentiable.</summary>
    /// <param name="logits">[…, V]. Minus infinity bans a token: it contributes 0 and gets a gradient of 0. At least one logit of each distribution is finite.</param>
    /// <param name="temperature">Above 0.</param>
    /// <returns>[…], nats, between 0 and log V.</returns>
    /// <exception cref="InputException">The temperature isn't above 0.</exception>
    public static Tensor OfLogits(Tensor logits, double temperature = 1)
    {
        if (!(temperature > 0)) throw new InputException($"the entropy's temperature is {temperature}: it must be above 0.");
        using var scope = NewDisposeScope();
        var logP = (logits / temperature).log_softmax(-1);
        // 0 · −∞ is NaN, the limit is 0.
        var finite = logP.KeepWhere(logP.isneginf().logical_not());
        return (-(logP.exp() * finite).sum(-1)).MoveToOuterDisposeScope();
    }
}
