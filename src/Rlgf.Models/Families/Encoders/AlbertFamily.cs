using Rlgf.Models.Blocks;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Encoders;

/// <summary>ALBERT (Lan et al. 2020): BERT's layers with the same weights again and again, and tables that are narrower than they.</summary>
internal static class AlbertFamily
{
    private static readonly PostNormEncoderNames Layers = new(
        (group, part) => $"encoder.albert_layer_groups.{group}.albert_layers.{part}",
        new TransformerLayerNames(
            new MultiHeadNames("attention.query", "attention.key", "attention.value", "attention.dense"), "attention.LayerNorm",
            "ffn", "ffn_output", "full_layer_layer_norm"))
    {
        Projection = "encoder.embedding_hidden_mapping_in",
    };

    public static EncoderFamily Instance { get; } = new(
        "albert", "Albert", new EncoderNames("albert", "albert.pooler", "classifier", "predictions.decoder.weight"),
        configuration =>
        {
            var settings = BertFamily.Read(configuration, Layers, formatActivation: "gelu_new");
            var groups = configuration.OptionalSize("num_hidden_groups") ?? 1;
            if (groups > settings.Shape.Layers) throw configuration.Fault("num_hidden_groups", $"is {groups}, more than num_hidden_layers = {settings.Shape.Layers}");
            return BertFamily.Parts(
                settings with { EmbeddingWidth = configuration.OptionalSize("embedding_size") ?? BertFamily.NarrowEmbedding, Groups = groups, PerGroup = configuration.OptionalSize("inner_group_num") ?? 1 }, "albert", tanh);
        });
}
