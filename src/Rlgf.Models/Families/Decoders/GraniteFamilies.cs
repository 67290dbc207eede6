using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Granite 3 (IBM 2024): Llama with factors on embeddings, scores, what a block adds, and logits.</summary>
internal static class GraniteFamily
{
    public static DecoderFamily Instance { get; } = new("granite", "Granite", Read) { Rotary = RotaryKeys.Llama };

    /// <summary>Reads what all Granites have in common. A factor that isn't there is 1, that of scores too: they are then q · k itself.</summary>
    public static DecoderSettings Read(ModelConfiguration configuration)
    {
        var settings = LlamaFamily.Read(configuration);
        return settings with
        {
            Attention = settings.Attention with { ScoreScale = configuration.Positive("attention_multiplier", formatDefault: 1) },
            EmbeddingScale = configuration.Positive("embedding_multiplier", formatDefault: 1),
            ResidualScale = configuration.Positive("residual_multiplier", formatDefault: 1),
            LogitDivisor = configuration.Positive("logits_scaling", formatDefault: 1),
        };
    }
}

/// <summary>Granite 4 (IBM 2025) in its dense form: Granite 3 with gate and up stored together, and without rotation unless it is asked for.</summary>
internal static class GraniteMoeHybridFamily
{
    private const string OlderTypesKey = "layers_block_type";
    private const string Mamba = "mamba";

    public static DecoderFamily Instance { get; } = new("granitemoehybrid", "GraniteMoeHybrid", Read) { Rotary = RotaryKeys.Llama };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        var key = configuration.Texts(OlderTypesKey).Count > 0 ? OlderTypesKey : "layer_types";
        var types = configuration.Texts(key);
        if (types.Count == 0) throw configuration.Fault(key, $"is missing, so that all layers are of the type '{Mamba}', which isn't supported");
        if (types.FirstOrDefault(type => type is not ("attention" or LayerTypes.Full)) is { } other) throw configuration.Fault(key, $"names '{other}': layers other than attention, such as those of Mamba-2, aren't supported");
        if (configuration.OptionalWhole("num_local_experts") is { } experts and not 0) throw configuration.Fault("num_local_experts", $"is {experts}: only the dense models, without experts, are supported");
        var settings = GraniteFamily.Read(configuration);
        if (types.Count != settings.Layers) throw configuration.Fault(key, $"names {types.Count} layers, and num_hidden_layers is {settings.Layers}");
        return settings with
        {
            Attention = configuration.Text("position_embedding_type") == "rope" ? settings.Attention : settings.Attention with { Rotary = null },
            Network = settings.Network with { Inner = configuration.Size("shared_intermediate_size"), Layout = NetworkLayout.FusedGated, Bias = false },
            Names = new DecoderNames { Network = ["shared_mlp.input_linear", "shared_mlp.output_linear"] },
        };
    }
}
