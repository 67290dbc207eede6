using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Qwen2 and 2.5 (Yang et al. 2024): Llama whose queries, keys and values are shifted.</summary>
internal static class Qwen2Family
{
    public static DecoderFamily Instance { get; } = new("qwen2", "Qwen2", Read) { Rotary = RotaryKeys.Llama };

    /// <summary>In some layers only, which the format allows for, a window isn't supported; published models have it off.</summary>
    public static void RequireFullAttention(ModelConfiguration configuration)
    {
        configuration.RequireFlag("use_sliding_window", false);
        LayerTypes.Read(configuration, [LayerTypes.Full], _ => LayerTypes.Full);
    }

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        RequireFullAttention(configuration);
        var settings = LlamaFamily.Read(configuration);
        return settings with { Attention = settings.Attention with { QueryKeyValueBias = true, OutputBias = false } };
    }
}

/// <summary>Qwen3 (Yang et al. 2025): Llama whose heads' queries and keys are normalised.</summary>
internal static class Qwen3Family
{
    private const int FormatHeadSize = 128;

    public static DecoderFamily Instance { get; } = new("qwen3", "Qwen3", Read) { Rotary = RotaryKeys.Llama };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        Qwen2Family.RequireFullAttention(configuration);
        var settings = LlamaFamily.Read(configuration, FormatHeadSize);
        return settings with { Attention = settings.Attention with { QueryKeyNorm = QueryKeyNorm.PerHead } };
    }
}
