using Rlgf.Models.Checkpoints;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>An activation function by the name that configurations give it.</summary>
internal sealed class Activation
{
    private readonly Func<Tensor, Tensor> _function;
    private readonly Kind _kind;
    private readonly double? _limit;

    private Activation(Func<Tensor, Tensor> function, Kind kind = Kind.Other, double? limit = null) => (_function, _kind, _limit) = (function, kind, limit);

    private enum Kind
    {
        Other,
        TanhGelu,
        Silu,
    }

    /// <summary>The tanh form of GELU.</summary>
    public static Activation TanhGelu { get; } = new(x => nn.functional.gelu(x, TorchSharp.Modules.GELU.Approximate.tanh), Kind.TanhGelu);

    /// <summary>x / (1 + e⁻ˣ).</summary>
    public static Activation Silu { get; } = new(x => nn.functional.silu(x), Kind.Silu);

    /// <summary>The gate of gpt-oss (OpenAI 2025): g · σ(a · g), where g is the gate, cut off above the limit; what it lets through is cut off on both sides, and 1 is added to it.</summary>
    /// <param name="slope">a.</param>
    /// <param name="limit">Of what is gated; the gate itself has none below.</param>
    public static Activation Clamped(double slope, double limit) => new(x => x * x.Multiply(slope).sigmoid(), limit: limit);

    /// <summary>The function that a key names.</summary>
    public static Activation Read(ModelConfiguration configuration, string key, string formatDefault) => Named(configuration.Text(key) ?? formatDefault, configuration, key);

    /// <summary>The function of a name that a key holds, or a part of what it holds.</summary>
    public static Activation Named(string name, ModelConfiguration configuration, string key)
    {
        return name switch
        {
            // The tanh form of GELU (Hendrycks and Gimpel 2016), under its three names.
            "gelu_new" or "gelu_pytorch_tanh" or "gelu_fast" => TanhGelu,
            "gelu" => new Activation(nn.functional.gelu),
            "relu2" => new Activation(x => nn.functional.relu(x).Square()),
            "relu" => new Activation(x => nn.functional.relu(x)),
            "silu" or "swish" => Silu,
            _ => throw configuration.Fault(key, $"is '{name}': known are gelu_new, gelu_pytorch_tanh, gelu_fast, gelu, relu, relu2 and silu"),
        };
    }

    /// <summary>Of each number.</summary>
    public Tensor Forward(Tensor x) => _function(x);

    /// <summary>act(gate) · up (Shazeer 2020).</summary>
    /// <param name="gate">[N, D].</param>
    /// <param name="up">[N, D].</param>
    /// <returns>[N, D], new.</returns>
    public Tensor Gate(Tensor gate, Tensor up)
    {
        if (_limit is { } limit) return _function(gate.Clamp(double.NegativeInfinity, limit)) * up.Clamp(-limit, limit).Add(1.0);
        return _kind != Kind.Other && FusedOperations.Fit(gate) && FusedOperations.Fit(up) && gate.dtype == up.dtype && gate.dim() == 2
            ? FusedOperations.Gate(gate, up, _kind == Kind.TanhGelu)
            : _function(gate) * up;
    }
}
