using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>Activation functions by the names that configurations give them.</summary>
internal static class Activation
{
    /// <summary>The function that a key names.</summary>
    public static Func<Tensor, Tensor> Read(ModelConfiguration configuration, string key, string formatDefault) => Named(configuration.Text(key) ?? formatDefault, configuration, key);

    /// <summary>The function of a name that a key holds, or a part of what it holds.</summary>
    public static Func<Tensor, Tensor> Named(string name, ModelConfiguration configuration, string key)
    {
        return name switch
        {
            // The tanh form of GELU (Hendrycks and Gimpel 2016), under its three names.
            "gelu_new" or "gelu_pytorch_tanh" or "gelu_fast" => x => nn.functional.gelu(x, TorchSharp.Modules.GELU.Approximate.tanh),
            "gelu" => nn.functional.gelu,
            "relu" => x => nn.functional.relu(x),
            "silu" or "swish" => x => nn.functional.silu(x),
            _ => throw configuration.Fault(key, $"is '{name}': known are gelu_new, gelu_pytorch_tanh, gelu_fast, gelu, relu and silu"),
        };
    }
}
