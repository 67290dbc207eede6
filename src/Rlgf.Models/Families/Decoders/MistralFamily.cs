using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Mistral (Jiang et al. 2023): Llama with a sliding window, where one is set.</summary>
internal static class MistralFamily
{
    public static DecoderFamily Instance { get; } = new("mistral", "Mistral", Read) { Rotary = RotaryKeys.Llama };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        var settings = LlamaFamily.Read(configuration);
        return settings with { Attention = settings.Attention with { Window = configuration.OptionalSize("sliding_window") } };
    }
}
