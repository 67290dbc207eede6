using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Gemma, the first (Mesnard et al. 2024): Llama with scaled embeddings, norms stored as their distance from 1 and the tanh form of GELU.</summary>
internal static class GemmaFamily
{
    private const int FormatHeadSize = 256;
    private const string FormatActivation = "gelu_pytorch_tanh";

    public static DecoderFamily Instance { get; } = new("gemma", "Gemma", Read)
    {
        Rotary = RotaryKeys.Llama,
        // transformers 4 reads hidden_activation alone, 5 hidden_act.
        WriteForOtherReaders = (configuration, json) =>
        {
            var activation = configuration.Text("hidden_activation") ?? configuration.Text("hidden_act") ?? FormatActivation;
            json["hidden_activation"] = activation;
            json["hidden_act"] = activation;
        },
    };

    private static DecoderSettings Read(ModelConfiguration configuration)
    {
        configuration.RequireFlag("use_bidirectional_attention", false);
        var settings = LlamaFamily.Read(configuration, FormatHeadSize, FormatActivation, normFromOne: true);
        return settings with
        {
            EmbeddingScale = Math.Sqrt(settings.Width),
            TiedHead = configuration.Flag("tie_word_embeddings", formatDefault: true),
            // Some files of transformers 4 have both keys; this one counts then.
            Activation = configuration.Text("hidden_activation") is null ? settings.Activation : Activation.Read(configuration, "hidden_activation", FormatActivation),
        };
    }
}
