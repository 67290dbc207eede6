using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>nanochat (Karpathy 2025): Llama with norms that have no weights, one of them on the embeddings, pairs turned the other way round, queries and keys normalised after that, squared ReLU and bounded logits.</summary>
internal static class NanoChatFamily
{
    private const double FormatCap = 15;

    public static DecoderFamily Instance { get; } = new("nanochat", "NanoChat", Read) { Rotary = RotaryKeys.Llama };

    private static DecoderSettings Read(ModelConfiguration file)
    {
        var configuration = file.WithDefaults($$"""{"final_logit_softcapping": {{FormatCap}}}""");
        var settings = LlamaFamily.Read(configuration, formatActivation: "relu2");
        var epsilon = configuration.Positive("rms_norm_eps", formatDefault: 1e-6);
        return settings with
        {
            Attention = settings.Attention with { Rotary = settings.Attention.Rotary! with { Reversed = true }, QueryKeyNorm = QueryKeyNorm.AfterRotation },
            Network = settings.Network with { Layout = NetworkLayout.Plain, Bias = false },
            Norm = (size, device) => new RmsNorm(size, epsilon, fromOne: false, device, isScaled: false),
            LogitCap = configuration.OptionalPositive("final_logit_softcapping"),
            // Norms have no parameters, so that their names are in no file.
            Names = new DecoderNames { EmbeddingNorm = "embedding_norm", Network = ["mlp.fc1", "mlp.fc2"] },
        };
    }
}
