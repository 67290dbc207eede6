using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>StableLM (Bellagente et al. 2024): Llama with LayerNorm, a quarter of each head rotated, and attention and network side by side where it says so.</summary>
internal static class StableLmFamily
{
    private static readonly RotaryKeys Keys = RotaryKeys.Llama with { FormatShare = 0.25, WritesShare = true };

    public static DecoderFamily Instance { get; } = new("stablelm", "StableLm", Read) { Rotary = Keys };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        configuration.RequireFlag("qk_layernorm", false);
        var settings = LlamaFamily.Read(configuration, keys: Keys);
        var epsilon = configuration.Positive("layer_norm_eps", formatDefault: 1e-5);
        var isParallel = configuration.Flag("use_parallel_residual", formatDefault: false);
        return settings with
        {
            Attention = settings.Attention with { QueryKeyValueBias = configuration.Flag("use_qkv_bias", formatDefault: false), OutputBias = false },
            Network = settings.Network with { Bias = false },
            Norm = (size, device) => new LayerNorm(size, epsilon, device),
            ParallelResidual = isParallel,
            Names = new DecoderNames { NetworkNorm = isParallel ? null : "post_attention_layernorm" },
        };
    }
}

/// <summary>StarCoder2 (Lozhkov et al. 2024): Llama with LayerNorm, shifts everywhere, a plain network and a window.</summary>
internal static class Starcoder2Family
{
    public static DecoderFamily Instance { get; } = new("starcoder2", "Starcoder2", Read) { Rotary = RotaryKeys.Llama };

    private static DecoderSettings Read(ModelConfiguration file)
    {
        var configuration = file.WithDefaults("""{"num_key_value_heads": 2}""");
        var settings = LlamaFamily.Read(configuration, formatActivation: "gelu_pytorch_tanh", formatTiedHead: true);
        var epsilon = configuration.Positive("norm_epsilon", formatDefault: 1e-5);
        var bias = configuration.Flag("use_bias", formatDefault: true);
        return settings with
        {
            Attention = settings.Attention with { Window = configuration.OptionalSize("sliding_window"), QueryKeyValueBias = bias, OutputBias = bias },
            Network = settings.Network with { Layout = NetworkLayout.Plain, Bias = bias },
            Norm = (size, device) => new LayerNorm(size, epsilon, device),
            Names = new DecoderNames { Network = ["mlp.c_fc", "mlp.c_proj"] },
        };
    }
}
