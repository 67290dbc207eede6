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
    public static DecoderSettings Read(ModelConfiguration configuration, int? formatHeadSize = null, string formatActivation = "silu", bool normFromOne = false)
    {
        var width = configuration.Size("hidden_size");
        var heads = configuration.Size("num_attention_heads");
        var keyHeads = configuration.OptionalSize("num_key_value_heads") ?? heads;
        if (heads % keyHeads != 0) throw configuration.Fault("num_key_value_heads", $"is {keyHeads}, which doesn't divide num_attention_heads = {heads}");
        var headSize = configuration.OptionalSize("head_dim") ?? formatHeadSize ?? DecoderSettings.WidthPerHead(configuration, "hidden_size", width, "num_attention_heads", heads);
        var epsilon = configuration.Positive("rms_norm_eps", formatDefault: 1e-6);
        var attentionBias = configuration.Flag("attention_bias", formatDefault: false);
        return new DecoderSettings
        {
            Vocabulary = configuration.Size("vocab_size"),
            Context = configuration.Size("max_position_embeddings"),
            Width = width,
            Layers = configuration.Size("num_hidden_layers"),
            Heads = heads,
            KeyValueHeads = keyHeads,
            HeadSize = headSize,
            Inner = configuration.Size("intermediate_size"),
            Norm = (size, device) => new RmsNorm(size, epsilon, normFromOne, device),
            Activation = Activation.Read(configuration, "hidden_act", formatActivation),
            Rotary = RotarySettings.Read(configuration, headSize),
            QueryKeyValueBias = attentionBias,
            AttentionBias = attentionBias,
            NetworkLayout = NetworkLayout.Gated,
            NetworkBias = configuration.Flag("mlp_bias", formatDefault: false),
            TiedHead = configuration.Flag("tie_word_embeddings", formatDefault: false),
            InitialDeviation = configuration.Positive("initializer_range", formatDefault: 0.02),
        };
    }
}
