using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Encoders;

/// <summary>
/// BERT (Devlin et al. 2019) and those with its layers: RoBERTa (Liu et al. 2019) and XLM-R (Conneau et al. 2020) count positions after their padding id, have no pooler and a head of their own; ELECTRA (Clark et al. 2020)
/// has such a head with another activation, and tables that may be narrower than its layers.
/// </summary>
internal static class BertFamily
{
    private static readonly PostNormEncoderNames Layers = PostNormEncoderNames.Below("encoder.layer", new(
        new MultiHeadNames("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"), "attention.output.LayerNorm",
        "intermediate.dense", "output.dense", "output.LayerNorm"));

    /// <summary>BERT.</summary>
    public static EncoderFamily Bert { get; } = new("bert", "Bert", new EncoderNames("bert", "bert.pooler.dense", "classifier", "cls.predictions.decoder.weight"), configuration => Parts(Read(configuration), "bert", tanh));

    /// <summary>RoBERTa.</summary>
    public static EncoderFamily Roberta { get; } = AfterPad("roberta", "Roberta");

    /// <summary>XLM-RoBERTa: RoBERTa with another vocabulary.</summary>
    public static EncoderFamily XlmRoberta { get; } = AfterPad("xlm-roberta", "XLMRoberta");

    /// <summary>ELECTRA's discriminator.</summary>
    public static EncoderFamily Electra { get; } = new(
        "electra", "Electra",
        new EncoderNames("electra", "classifier.dense", "classifier.out_proj", "generator_lm_head.weight") { InTrunk = ["embeddings", "embeddings_project", "encoder"] },
        configuration =>
        {
            var settings = Read(configuration);
            var width = configuration.OptionalSize("embedding_size") ?? NarrowEmbedding;
            if (width != settings.Layer.Width) settings = settings with { EmbeddingWidth = width, Names = Layers with { Projection = "embeddings_project" } };
            return Parts(settings, "electra", nn.functional.gelu);
        });

    /// <summary>Width of the tables of ELECTRA and ALBERT where it isn't said.</summary>
    public const int NarrowEmbedding = 128;

    /// <summary>An encoder with these layers and a head that reads its first state.</summary>
    public static EncoderParts Parts(PostNormEncoderSettings settings, string trunk, Func<Tensor, Tensor> activation, int? pad = null) =>
        new(device => new PostNormEncoder(settings, trunk, device), new EncoderHead(settings.Layer.Width, activation, settings.InitialDeviation), pad);

    /// <summary>What all of them call alike.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="names">The parts' names; BERT's by default.</param>
    /// <param name="formatActivation">The activation where none is named.</param>
    public static PostNormEncoderSettings Read(ModelConfiguration configuration, PostNormEncoderNames? names = null, string formatActivation = "gelu")
    {
        configuration.RequireFlag("is_decoder", false);
        configuration.RequireFlag("add_cross_attention", false);
        if ((configuration.Text("position_embedding_type") ?? "absolute") is var positions and not "absolute")
            throw configuration.Fault("position_embedding_type", $"is '{positions}': only absolute positions are supported");
        var layer = Sizes(configuration, formatEpsilon: 1e-12, formatActivation);
        var shape = new EncoderShape(
            configuration.Size("vocab_size"), configuration.Size("max_position_embeddings"), configuration.OptionalSize("type_vocab_size") ?? 2, configuration.Size("num_hidden_layers"));
        return new PostNormEncoderSettings(shape, layer, configuration.Positive("initializer_range", formatDefault: 0.02)) { Names = names ?? Layers };
    }

    /// <summary>Sizes of a layer, under the keys that BERT and most after it have.</summary>
    public static TransformerLayerSizes Sizes(ModelConfiguration configuration, double formatEpsilon, string formatActivation)
    {
        var layer = new TransformerLayerSizes(
            configuration.Size("hidden_size"),
            configuration.Size("num_attention_heads"),
            configuration.Size("intermediate_size"),
            configuration.Positive("layer_norm_eps", formatEpsilon),
            Activation.Read(configuration, "hidden_act", formatActivation));
        return layer.Width % layer.Heads == 0 ? layer : throw configuration.Fault("num_attention_heads", $"is {layer.Heads}, which doesn't divide hidden_size = {layer.Width}");
    }

    private static EncoderFamily AfterPad(string modelType, string className) =>
        new(modelType, className, new EncoderNames("roberta", "classifier.dense", "classifier.out_proj", "lm_head.decoder.weight"), configuration =>
        {
            var settings = Read(configuration);
            var pad = configuration.TokenId("pad_token_id") ?? 1;
            return pad + 1 < settings.Shape.Positions
                ? Parts(settings, "roberta", tanh, pad)
                : throw configuration.Fault("max_position_embeddings", $"is {settings.Shape.Positions}: none are left after those up to pad_token_id = {pad}");
        });
}
