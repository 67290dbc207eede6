using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Ministral 3 (Mistral AI 2025): Mistral with YaRN, and queries that grow with their position, as in Llama 4.</summary>
internal static class Ministral3Family
{
    private const int FormatHeadSize = 128;
    private const string BetaKey = "llama_4_scaling_beta";
    private const string OriginalKey = "original_max_position_embeddings";

    private const string Defaults = """
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1000000.0, "factor": 16.0, "original_max_position_embeddings": 16384, "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1}}
        """;

    private static readonly RotaryKeys Keys = RotaryKeys.Llama with { FormatBase = 1_000_000 };

    public static DecoderFamily Instance { get; } = new("ministral3", "Ministral3", Read) { Rotary = Keys, Complete = WithFormatRotation };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        var rotary = RotarySetting.Read(configuration, Keys);
        var settings = LlamaFamily.Read(configuration, FormatHeadSize, keys: Keys, rotary: rotary, formatEpsilon: 1e-5);
        var attention = settings.Attention with { Window = configuration.OptionalSize("sliding_window") };
        if (rotary.Scaling?.Number(BetaKey) is { } beta and not 0)
        {
            var original = rotary.Scaling.Size(OriginalKey);
            attention = attention with { Rotary = attention.Rotary! with { QueryScale = position => (float)(1 + beta * Math.Log(1 + position / original)) } };
        }

        return settings with { Attention = attention };
    }

    private static ModelConfiguration WithFormatRotation(ModelConfiguration configuration) => configuration.Section("rope_scaling") is null ? configuration.WithDefaults(Defaults) : configuration;
}
