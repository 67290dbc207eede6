using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Phi-3 and Phi-4 (Abdin et al. 2024): Llama with its maps stored together, a window, and where it says so a part of each head unrotated.</summary>
internal static class Phi3Family
{
    private static readonly RotaryKeys Keys = RotaryKeys.Llama with { LongropeTypes = ["longrope", "su", "yarn"] };

    public static DecoderFamily Instance { get; } = new("phi3", "Phi3", Read) { Rotary = Keys };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        var settings = LlamaFamily.Read(configuration, keys: Keys);
        return settings with
        {
            Attention = settings.Attention with { Window = configuration.OptionalSize("sliding_window"), Layout = QueryKeyValueLayout.Fused, QueryKeyValueBias = false, OutputBias = false },
            Network = settings.Network with { Layout = NetworkLayout.FusedGated, Bias = false },
            Names = new DecoderNames { QueriesKeysValues = ["qkv_proj"], Network = ["mlp.gate_up_proj", "mlp.down_proj"] },
        };
    }
}
