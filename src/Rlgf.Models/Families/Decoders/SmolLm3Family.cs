using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>SmolLM3 (Bakouch et al. 2025): Llama some of whose layers aren't rotated (Yang et al. 2025, "Rope to Nope and back again").</summary>
internal static class SmolLm3Family
{
    private const string Key = "no_rope_layers";
    private const int FormatInterval = 4;

    private static readonly RotaryKeys Keys = RotaryKeys.Llama with { FormatBase = 2_000_000 };

    public static DecoderFamily Instance { get; } = new("smollm3", "SmolLM3", Read) { Rotary = Keys };

    private static DecoderSettings Read(ModelConfiguration file)
    {
        var configuration = file.WithDefaults("""{"num_key_value_heads": 4}""");
        configuration.RequireFlag("use_sliding_window", false);
        var settings = LlamaFamily.Read(configuration, keys: Keys, formatTiedHead: true);
        // Whatever the key's name says, 1 means that a layer is rotated.
        var rotated = configuration.Numbers(Key);
        var interval = configuration.OptionalSize("no_rope_layer_interval") ?? FormatInterval;
        if (rotated.Count == 0) rotated = [.. Enumerable.Range(1, settings.Layers).Select(number => number % interval == 0 ? 0.0 : 1)];
        if (rotated.Count != settings.Layers || rotated.Any(value => value is not (0 or 1))) throw configuration.Fault(Key, $"must have 0 or 1 for each of the {settings.Layers} layers");
        return settings with { Mixers = [.. rotated.Select(value => value == 0 ? settings.Attention with { Rotary = null } : settings.Attention)] };
    }
}
