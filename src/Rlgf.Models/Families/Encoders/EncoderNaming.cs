using Rlgf.Base;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Encoders;

/// <summary>What the files of all encoders have in common.</summary>
internal static class EncoderNaming
{
    /// <summary>Parts of models that were trained to fill gaps or to find answers: a classifier has no use for them.</summary>
    private static readonly string[] OtherHeads =
    [
        "cls", "lm_head", "vocab_transform", "vocab_layer_norm", "vocab_projector", "qa_outputs", "lm_predictions", "mask_predictions", "discriminator_predictions", "generator_predictions", "generator_lm_head",
        "predictions", "sop_classifier", "decoder",
    ];

    /// <summary>As <see cref="IModelFamily.NameInModule"/>.</summary>
    public static string? NameInModule(string nameInFile, EncoderNames names)
    {
        var trunk = names.Trunk;
        if (nameInFile.EndsWith("embeddings.position_ids", StringComparison.Ordinal)) return null;
        if (OtherHeads.Contains(nameInFile.Split('.')[0], StringComparer.Ordinal)) return null;
        var name = nameInFile;

        // The first BERT uploads call a norm's scale and shift so.
        if (name.EndsWith(".gamma", StringComparison.Ordinal)) name = $"{name[..^".gamma".Length]}.weight";
        if (name.EndsWith(".beta", StringComparison.Ordinal)) name = $"{name[..^".beta".Length]}.bias";
        if (names.InTrunk.Contains(name.Split('.')[0], StringComparer.Ordinal) && !IsOfHead(name, names)) name = $"{trunk}.{name}";

        // RoBERTa's head reads the first state itself.
        return name.StartsWith($"{trunk}.pooler.", StringComparison.Ordinal) && !IsOfHead(name, names) ? null : name;
    }

    /// <summary>As <see cref="IModelFamily.TiedTo"/>: the head that fills gaps ends in the embedding.</summary>
    public static string? TiedTo(string nameInFile, EncoderNames names, ModelConfiguration configuration) =>
        nameInFile == names.TiedHead && configuration.Flag("tie_word_embeddings", formatDefault: true) ? $"{names.Trunk}.{names.TokenEmbedding}.weight" : null;

    /// <summary>As <see cref="IModelFamily.IsOfHead"/>.</summary>
    public static bool IsOfHead(string nameInModule, EncoderNames names) =>
        new[] { names.HeadInner, names.HeadNorm, names.HeadOuter }.OfType<string>().Any(part => nameInModule.StartsWith($"{part}.", StringComparison.Ordinal));

    /// <summary>The labels. Two of them without names of their own are what transformers leaves out of the file.</summary>
    public static IReadOnlyList<string> Labels(ModelConfiguration configuration) => configuration.Labels() ?? ["LABEL_0", "LABEL_1"];

    /// <summary>The refusal to be a language model.</summary>
    public static InputException WritesNoText(ModelConfiguration configuration) =>
        configuration.Fault("model_type", $"is '{configuration.ModelType}': an encoder writes no text; it can be a classifier (reward or judge), a language model it can't");
}
