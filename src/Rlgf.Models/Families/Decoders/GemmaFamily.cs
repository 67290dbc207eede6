using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Gemma, the first (Mesnard et al. 2024): Llama with scaled embeddings, norms stored as their distance from 1 and the tanh form of GELU.</summary>
internal static class GemmaFamily
{
    private const int FormatHeadSize = 256;
    private const string FormatActivation = "gelu_pytorch_tanh";

    public static DecoderFamily Instance { get; } = new("gemma", "Gemma", configuration => Read(configuration))
    {
        Rotary = RotaryKeys.Llama,
        WriteForOtherReaders = WriteActivation,
    };

    /// <summary>transformers 4 reads hidden_activation alone, 5 of the first Gemma hidden_act.</summary>
    public static void WriteActivation(ModelConfiguration configuration, JsonObject json)
    {
        var activation = configuration.Text("hidden_activation") ?? configuration.Text("hidden_act") ?? FormatActivation;
        json["hidden_activation"] = activation;
        json["hidden_act"] = activation;
    }

    /// <summary>Reads what all Gemmas have in common.</summary>
    public static DecoderSettings Read(ModelConfiguration configuration, RotarySetting? rotary = null)
    {
        configuration.RequireFlag("use_bidirectional_attention", false);
        var settings = LlamaFamily.Read(configuration, FormatHeadSize, FormatActivation, normFromOne: true, rotary: rotary);
        return settings with
        {
            EmbeddingScale = Math.Sqrt(settings.Width),
            TiedHead = configuration.Flag("tie_word_embeddings", formatDefault: true),
            // Some files of transformers 4 have both keys; this one counts then.
            Network = configuration.Text("hidden_activation") is null ? settings.Network : settings.Network with { Activation = Activation.Read(configuration, "hidden_activation", FormatActivation) },
        };
    }
}
