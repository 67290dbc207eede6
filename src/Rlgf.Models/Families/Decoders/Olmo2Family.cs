using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>OLMo 2 (Walsh et al. 2024): Llama with norms of what a block adds in place of what it reads, and of all queries and of all keys.</summary>
internal static class Olmo2Family
{
    public static DecoderFamily Instance { get; } = new("olmo2", "Olmo2", Read) { Rotary = RotaryKeys.Llama };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        var settings = LlamaFamily.Read(configuration, formatEpsilon: 1e-5);
        return settings with
        {
            Attention = settings.Attention with { QueryKeyNorm = QueryKeyNorm.AllHeads },
            Names = new DecoderNames { AttentionNorm = null, AttentionOutputNorm = "post_attention_layernorm", NetworkNorm = null, NetworkOutputNorm = "post_feedforward_layernorm" },
        };
    }
}
