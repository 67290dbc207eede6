using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Encoders;

/// <summary>DeBERTa v3 (He et al. 2021, 2023): BERT's layers, whose attention sees distances instead of positions.</summary>
internal static class DebertaFamily
{
    private const string Terms = "pos_att_type";

    private static readonly PostNormEncoderNames Layers = PostNormEncoderNames.Below("encoder.layer", new(
        new MultiHeadNames("attention.self.query_proj", "attention.self.key_proj", "attention.self.value_proj", "attention.output.dense"), "attention.output.LayerNorm",
        "intermediate.dense", "output.dense", "output.LayerNorm"));

    public static EncoderFamily Instance { get; } = new(
        "deberta-v2", "DebertaV2", new EncoderNames("deberta", "pooler.dense", "classifier", "cls.predictions.decoder.weight") { InTrunk = ["embeddings", "encoder"] },
        configuration => BertFamily.Parts(Read(configuration), "deberta", Activation.Read(configuration, "pooler_hidden_act", formatDefault: "gelu").Forward));

    private static PostNormEncoderSettings Read(ModelConfiguration configuration)
    {
        // What the versions before had, and the format's defaults still say.
        Require("relative_attention", formatDefault: false, true);
        Require("position_biased_input", formatDefault: true, false);
        Require("share_att_key", formatDefault: false, true);
        if (configuration.OptionalWhole("type_vocab_size") is { } segments and > 0) throw configuration.Fault("type_vocab_size", $"is {segments}: a table of a row's texts isn't supported (DeBERTa v3 has none: 0)");
        if (configuration.OptionalWhole("conv_kernel_size") is { } kernel and > 0) throw configuration.Fault("conv_kernel_size", $"is {kernel}: a convolution after the first layer (DeBERTa v2) isn't supported");
        if ((configuration.Text("norm_rel_ebd") ?? "none") is var norm and not "layer_norm") throw configuration.Fault("norm_rel_ebd", $"is '{norm}': only 'layer_norm', as in DeBERTa v3, is supported");
        var layer = BertFamily.Sizes(configuration, formatEpsilon: 1e-7, formatActivation: "gelu");
        Same("embedding_size");
        Same("pooler_hidden_size");
        if (configuration.OptionalSize("attention_head_size") is { } size && size != layer.Width / layer.Heads)
            throw configuration.Fault("attention_head_size", $"is {size}: only hidden_size / num_attention_heads = {layer.Width / layer.Heads} is supported");
        var positions = configuration.Size("max_position_embeddings");
        var shape = new EncoderShape(configuration.Size("vocab_size"), positions, Segments: 0, configuration.Size("num_hidden_layers"));
        return new PostNormEncoderSettings(shape, layer, configuration.Positive("initializer_range", formatDefault: 0.02)) { Names = Layers, HasPositions = false, Distances = Distances(configuration, positions) };

        void Require(string key, bool formatDefault, bool only)
        {
            if (configuration.Flag(key, formatDefault) != only) throw configuration.Fault(key, $"is {(only ? "false" : "true")}, or not there, which means that: only {(only ? "true" : "false")}, as in DeBERTa v3, is supported");
        }

        void Same(string key)
        {
            if (configuration.OptionalSize(key) is { } other && other != layer.Width) throw configuration.Fault(key, $"is {other}: only hidden_size = {layer.Width} is supported");
        }
    }

    private static DistanceSettings Distances(ModelConfiguration configuration, int positions)
    {
        // Published files have −1 for both where the format's own number counts.
        if (configuration.Number("position_buckets") is not >= 2) throw configuration.Fault("position_buckets", "must be 2 or more: distances without buckets (DeBERTa v1) aren't supported");
        var buckets = configuration.Size("position_buckets");
        var longest = configuration.Number("max_relative_positions") is >= 1 ? configuration.Size("max_relative_positions") : positions;
        if (longest - 1 <= buckets / 2) throw configuration.Fault("position_buckets", $"is {buckets}, half of which must be less than the longest distance, {longest - 1} (max_relative_positions or, where that is below 1, max_position_embeddings)");
        var terms = configuration.IsText(Terms) ? (configuration.Text(Terms) ?? "").Split('|', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) : configuration.Texts(Terms);
        if (terms.FirstOrDefault(term => term is not ("c2p" or "p2c")) is { } other) throw configuration.Fault(Terms, $"names '{other}': supported are c2p and p2c");
        return new DistanceSettings(buckets, longest, terms.Contains("c2p"), terms.Contains("p2c"));
    }
}
