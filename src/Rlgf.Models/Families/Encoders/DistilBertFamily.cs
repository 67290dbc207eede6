using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Encoders;

/// <summary>DistilBERT (Sanh et al. 2019): BERT's layers under other names, without segments and pooler.</summary>
internal static class DistilBertFamily
{
    private static readonly PostNormEncoderNames Layers = PostNormEncoderNames.Below("transformer.layer", new(
        new MultiHeadNames("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"), "sa_layer_norm",
        "ffn.lin1", "ffn.lin2", "output_layer_norm"));

    // Its configuration has no key for it.
    private const double Epsilon = 1e-12;

    public static EncoderFamily Instance { get; } = new(
        "distilbert", "DistilBert", new EncoderNames("distilbert", "pre_classifier", "classifier", "vocab_projector.weight"),
        configuration => BertFamily.Parts(Read(configuration), "distilbert", x => nn.functional.relu(x)));

    private static PostNormEncoderSettings Read(ModelConfiguration configuration)
    {
        var layer = new TransformerLayerSizes(
            configuration.Size("dim"),
            configuration.Size("n_heads"),
            configuration.Size("hidden_dim"),
            Epsilon,
            Activation.Read(configuration, "activation", formatDefault: "gelu"));
        if (layer.Width % layer.Heads != 0) throw configuration.Fault("n_heads", $"is {layer.Heads}, which doesn't divide dim = {layer.Width}");
        var shape = new EncoderShape(configuration.Size("vocab_size"), configuration.Size("max_position_embeddings"), Segments: 0, configuration.Size("n_layers"));
        return new PostNormEncoderSettings(shape, layer, configuration.Positive("initializer_range", formatDefault: 0.02)) { Names = Layers };
    }
}
