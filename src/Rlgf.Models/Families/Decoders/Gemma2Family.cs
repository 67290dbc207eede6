using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Gemma 2 (Riviere et al. 2024): Gemma with norms on both sides of each part, bounded scores and logits, and a window in every second layer.</summary>
internal static class Gemma2Family
{
    private const string Defaults = """
        {"vocab_size": 256000, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 8192,
         "query_pre_attn_scalar": 256, "sliding_window": 4096, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}
        """;

    private static readonly DecoderNames Names = new()
    {
        AttentionOutputNorm = "post_attention_layernorm",
        NetworkNorm = "pre_feedforward_layernorm",
        NetworkOutputNorm = "post_feedforward_layernorm",
    };

    public static DecoderFamily Instance { get; } = new("gemma2", "Gemma2", Read) { Rotary = RotaryKeys.Llama, WriteForOtherReaders = GemmaFamily.WriteActivation };

    /// <summary>Makes of a Gemma one with norms on both sides, bounds and a window in some layers.</summary>
    /// <param name="settings">What all Gemmas have in common.</param>
    /// <param name="configuration">The configuration.</param>
    /// <param name="types">Each layer's type.</param>
    /// <param name="slidingRotary">The rotation in layers with a window; null for the same as in others.</param>
    /// <param name="norm">Whether queries and keys are normalised.</param>
    public static DecoderSettings WithWindows(DecoderSettings settings, ModelConfiguration configuration, IReadOnlyList<string> types, RotarySettings? slidingRotary = null, QueryKeyNorm norm = QueryKeyNorm.None)
    {
        var attention = settings.Attention with
        {
            QueryKeyNorm = norm,
            ScoreScale = 1 / Math.Sqrt(configuration.Positive("query_pre_attn_scalar")),
            ScoreCap = configuration.OptionalPositive("attn_logit_softcapping"),
        };
        var sliding = attention with { Window = configuration.Size("sliding_window"), Rotary = slidingRotary ?? attention.Rotary };
        return settings with
        {
            Attention = attention,
            Mixers = [.. types.Select(type => type == LayerTypes.Sliding ? sliding : attention)],
            LogitCap = configuration.OptionalPositive("final_logit_softcapping"),
            Names = Names,
        };
    }

    private static DecoderSettings Read(ModelConfiguration file)
    {
        var configuration = file.WithDefaults(Defaults);
        var types = LayerTypes.Read(configuration, [LayerTypes.Sliding, LayerTypes.Full], layer => layer % 2 == 0 ? LayerTypes.Sliding : LayerTypes.Full);
        return WithWindows(GemmaFamily.Read(configuration), configuration, types);
    }
}

/// <summary>Gemma 3's texts (Kamath et al. 2025): Gemma 2 with normalised queries and keys in place of bounds, and a rotation of their own for the layers with a window.</summary>
internal static class Gemma3Family
{
    private const string Parameters = "rope_parameters";
    private const string LocalBaseKey = "rope_local_base_freq";
    private const double FormatLocalBase = 10_000;
    private const int FormatPattern = 6;

    private const string Defaults = """
        {"vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 131072,
         "query_pre_attn_scalar": 256, "sliding_window": 4096}
        """;

    private static readonly RotaryKeys Keys = RotaryKeys.Llama with { FormatBase = 1_000_000 };

    public static DecoderFamily Instance { get; } = new("gemma3_text", "Gemma3Text", Read)
    {
        WriteForOtherReaders = (configuration, json) =>
        {
            GemmaFamily.WriteActivation(configuration, json);
            var (full, sliding) = (Rotary(configuration, LayerTypes.Full), Rotary(configuration, LayerTypes.Sliding));
            full.WriteTo(json, Keys);
            json[Parameters] = new JsonObject { [LayerTypes.Full] = json[Parameters]!.DeepClone(), [LayerTypes.Sliding] = new JsonObject { ["rope_type"] = "default", ["rope_theta"] = RotarySetting.Decimal(sliding.Base) } };
            json[LocalBaseKey] = RotarySetting.Decimal(sliding.Base);
            json["layer_types"] = new JsonArray([.. Types(configuration).Select(type => (JsonNode)type)]);
        },
    };

    private static DecoderSettings Read(ModelConfiguration file)
    {
        var configuration = file.WithDefaults(Defaults);
        var settings = GemmaFamily.Read(configuration, Rotary(configuration, LayerTypes.Full));
        var sliding = RotarySettings.Make(configuration, settings.Attention.HeadSize, Rotary(configuration, LayerTypes.Sliding), Keys);
        return Gemma2Family.WithWindows(settings, configuration, Types(configuration), sliding, QueryKeyNorm.PerHead);
    }

    /// <summary>Of layers of one type: transformers 5 has a section for each, 4 one key for the base of layers with a window, whose rotation is never scaled.</summary>
    private static RotarySetting Rotary(ModelConfiguration configuration, string type)
    {
        var isFull = type == LayerTypes.Full;
        if (configuration.Section(Parameters)?.Section(type) is { } section) return new RotarySetting(section.Positive("rope_theta", isFull ? Keys.FormatBase : FormatLocalBase), 1, section);
        return isFull ? RotarySetting.Read(configuration, Keys) : new RotarySetting(configuration.Positive(LocalBaseKey, FormatLocalBase), 1, null);
    }

    private static IReadOnlyList<string> Types(ModelConfiguration configuration)
    {
        var pattern = configuration.OptionalSize("sliding_window_pattern") ?? configuration.OptionalSize("_sliding_window_pattern") ?? FormatPattern;
        return LayerTypes.Read(configuration, [LayerTypes.Sliding, LayerTypes.Full], layer => (layer + 1) % pattern == 0 ? LayerTypes.Full : LayerTypes.Sliding);
    }
}
