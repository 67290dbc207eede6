using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Phi-3 and Phi-4 (Abdin et al. 2024): Llama with its maps stored together, a window, and where it says so a part of each head unrotated.</summary>
internal static class Phi3Family
{
    public static DecoderFamily Instance { get; } = new("phi3", "Phi3", Read) { Rotary = RotaryKeys.Llama };

    private static DecoderSettings Read(ModelConfiguration configuration) => LlamaFamily.Read(configuration) with
    {
        Window = configuration.OptionalSize("sliding_window"),
        QueryKeyValueLayout = QueryKeyValueLayout.Fused,
        NetworkLayout = NetworkLayout.FusedGated,
        QueryKeyValueBias = false,
        AttentionBias = false,
        NetworkBias = false,
        Names = new DecoderNames { QueriesKeysValues = ["qkv_proj"], Network = ["mlp.gate_up_proj", "mlp.down_proj"] },
    };
}
