using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>gpt-oss (OpenAI 2025): a mixture of experts in every layer whose gates are cut off, attention whose heads may look at nothing, and a window in every second layer.</summary>
internal static class GptOssFamily
{
    private const string Defaults = """
        {"head_dim": 64, "num_key_value_heads": 8, "num_local_experts": 128, "num_experts_per_tok": 4, "sliding_window": 128, "attention_bias": true, "swiglu_limit": 7.0, "swiglu_alpha": 1.702}
        """;

    private const string FormatRotation = """
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0, "original_max_position_embeddings": 4096, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false}}
        """;

    private static readonly RotaryKeys Keys = RotaryKeys.Llama with { FormatBase = 150_000 };

    public static DecoderFamily Instance { get; } = new("gpt_oss", "GptOss", Read) { Rotary = Keys, Complete = WithFormatValues, WriteForOtherReaders = WriteOlderKeys };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        var settings = LlamaFamily.Read(configuration, keys: Keys, formatEpsilon: 1e-5);
        if (configuration.Text("hidden_act") is { } activation and not "silu") throw configuration.Fault("hidden_act", $"is '{activation}': the gates of this family are known with silu only");
        var attention = settings.Attention with { Sinks = true };
        var types = LayerTypes.Read(configuration, [LayerTypes.Full, LayerTypes.Sliding], layer => layer % 2 == 0 ? LayerTypes.Sliding : LayerTypes.Full);
        var window = configuration.Size("sliding_window");
        var experts = new ExpertsSettings
        {
            Experts = configuration.Size("num_local_experts"),
            Used = MixtralFamily.Used(configuration, "num_local_experts"),
            Inner = settings.Network.Inner,
            Activation = Activation.Clamped(configuration.Positive("swiglu_alpha"), configuration.Positive("swiglu_limit")),
            Normalised = true,
            Router = "mlp.router",
            RouterBias = true,
            Layout = ExpertsLayout.Stacked,
            Level = "mlp.experts",
            Maps = ["gate_up_proj", "down_proj"],
        };
        return settings with
        {
            Attention = attention,
            Mixers = [.. types.Select(type => type == LayerTypes.Sliding ? attention with { Window = window } : attention)],
            Networks = [.. Enumerable.Repeat<NetworkSettings>(experts, settings.Layers)],
        };
    }

    private static void WriteOlderKeys(ModelConfiguration configuration, JsonObject json)
    {
        json["experts_per_token"] = configuration.Size("num_experts_per_tok");
        if (RotarySetting.Read(configuration, Keys).Scaling?.OptionalSize("original_max_position_embeddings") is { } original) json["initial_context_length"] = original;
        foreach (var key in (string[])["swiglu_alpha", "swiglu_limit"]) json[key] = RotarySetting.Decimal(configuration.Positive(key));
    }

    private static ModelConfiguration WithFormatValues(ModelConfiguration configuration)
    {
        configuration = configuration.WithDefaults(Defaults);
        // What the first files call it; a file may have both.
        if (configuration.OptionalSize("experts_per_token") is { } older && older != configuration.Size("num_experts_per_tok"))
            throw configuration.Fault("experts_per_token", $"is {older}, and num_experts_per_tok {configuration.Size("num_experts_per_tok")}: they mean the same");
        return configuration.Section("rope_scaling") is null ? configuration.WithDefaults(FormatRotation) : configuration;
    }
}
