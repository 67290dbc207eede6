using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Llama 1 to 3 (Touvron et al. 2023): RMS norm, rotation, gated network, and heads that share keys.</summary>
internal static class LlamaFamily
{
    public static DecoderFamily Instance { get; } = new("llama", "Llama", configuration => Read(configuration)) { Rotary = RotaryKeys.Llama };

    /// <summary>Reads the keys that Llama has in common with those that follow it.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="formatHeadSize">Numbers per head where it isn't said; null for the width by the number of heads.</param>
    /// <param name="formatActivation">The activation where it isn't said.</param>
    /// <param name="normFromOne">Whether norms store their scale's distance from 1.</param>
    /// <param name="keys">Keys of its rotation; Llama's by default.</param>
    /// <param name="rotary">Its rotation, where it isn't under these keys.</param>
    /// <param name="formatTiedHead">Whether the head is the embedding where it isn't said.</param>
    /// <param name="formatEpsilon">ε of the norms where it isn't said.</param>
    public static DecoderSettings Read(
        ModelConfiguration configuration, int? formatHeadSize = null, string formatActivation = "silu", bool normFromOne = false, RotaryKeys? keys = null, RotarySetting? rotary = null, bool formatTiedHead = false, double formatEpsilon = 1e-6)
    {
        rotary ??= RotarySetting.Read(configuration, keys ?? RotaryKeys.Llama);
        var width = configuration.Size("hidden_size");
        var heads = configuration.Size("num_attention_heads");
        var keyHeads = configuration.OptionalSize("num_key_value_heads") ?? heads;
        if (heads % keyHeads != 0) throw configuration.Fault("num_key_value_heads", $"is {keyHeads}, which doesn't divide num_attention_heads = {heads}");
        var headSize = configuration.OptionalSize("head_dim") ?? formatHeadSize ?? DecoderSettings.WidthPerHead(configuration, "hidden_size", width, "num_attention_heads", heads);
        var epsilon = configuration.Positive("rms_norm_eps", formatEpsilon);
        var attentionBias = configuration.Flag("attention_bias", formatDefault: false);
        return new DecoderSettings
        {
            Vocabulary = configuration.Size("vocab_size"),
            Context = rotary.HasNoLimit ? int.MaxValue : configuration.Size("max_position_embeddings"),
            Width = width,
            Layers = configuration.Size("num_hidden_layers"),
            Attention = new AttentionSettings
            {
                Heads = heads,
                KeyValueHeads = keyHeads,
                HeadSize = headSize,
                Rotary = RotarySettings.Make(configuration, headSize, rotary, keys ?? RotaryKeys.Llama),
                QueryKeyValueBias = attentionBias,
                OutputBias = attentionBias,
            },
            Network = new FeedForwardSettings
            {
                Inner = configuration.Size("intermediate_size"),
                Layout = NetworkLayout.Gated,
                Activation = Activation.Read(configuration, "hidden_act", formatActivation),
                Bias = configuration.Flag("mlp_bias", formatDefault: false),
            },
            Norm = (size, device) => new RmsNorm(size, epsilon, normFromOne, device),
            TiedHead = configuration.Flag("tie_word_embeddings", formatTiedHead),
            InitialDeviation = configuration.Positive("initializer_range", formatDefault: 0.02),
        };
    }
}
