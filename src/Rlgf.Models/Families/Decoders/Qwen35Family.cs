using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Qwen 3.5's texts (Qwen Team 2026): gated delta nets in three of four layers, gated attention in the others, a quarter of each head rotated.</summary>
internal static class Qwen35Family
{
    private const string Linear = "linear_attention";
    private const string Defaults = """
        {"num_attention_heads": 16, "num_key_value_heads": 4, "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4}
        """;

    private const int FormatHeadSize = 256;
    private const int FormatInterval = 4;

    private static readonly RotaryKeys Keys = RotaryKeys.Llama with { FormatShare = 0.25, WritesShare = true };

    public static DecoderFamily Instance { get; } = new("qwen3_5_text", "Qwen3_5Text", Read) { Rotary = Keys };

    private static DecoderSettings Read(ModelConfiguration file)
    {
        var configuration = file.WithDefaults(Defaults);
        var settings = LlamaFamily.Read(configuration, FormatHeadSize, normFromOne: true, keys: Keys);
        var (keyHeads, valueHeads) = (configuration.Size("linear_num_key_heads"), configuration.Size("linear_num_value_heads"));
        if (valueHeads % keyHeads != 0) throw configuration.Fault("linear_num_key_heads", $"is {keyHeads}, which doesn't divide linear_num_value_heads = {valueHeads}");
        var net = new GatedDeltaNetSettings
        {
            KeyHeads = keyHeads,
            ValueHeads = valueHeads,
            KeySize = configuration.Size("linear_key_head_dim"),
            ValueSize = configuration.Size("linear_value_head_dim"),
            Kernel = configuration.Size("linear_conv_kernel_dim"),
            Epsilon = configuration.Positive("rms_norm_eps", formatDefault: 1e-6),
        };
        var attention = settings.Attention with { QueryKeyNorm = QueryKeyNorm.PerHead, OutputGate = true };
        var interval = configuration.OptionalSize("full_attention_interval") ?? FormatInterval;
        var types = LayerTypes.Read(configuration, [Linear, LayerTypes.Full], layer => (layer + 1) % interval == 0 ? LayerTypes.Full : Linear);
        return settings with { Attention = attention, Mixers = [.. types.Select(type => type == Linear ? (MixerSettings)net : attention)] };
    }
}
