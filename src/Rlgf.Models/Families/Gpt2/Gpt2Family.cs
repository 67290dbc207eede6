using System.Text.RegularExpressions;
using Rlgf.Models.Checkpoints;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Gpt2;

/// <summary>GPT-2 (Radford et al. 2019) and all models of its architecture.</summary>
internal sealed partial class Gpt2Family : IModelFamily
{
    public const string Type = "gpt2";

    public string ModelType => Type;

    public string ClassifierArchitecture => "GPT2ForSequenceClassification";

    public ILanguageModel CreateLanguageModel(ModelConfiguration configuration, Device device)
    {
        var settings = Gpt2Settings.Read(configuration);
        return new CausalLanguageModel(
            new Gpt2LanguageModule(settings, device),
            settings.Shape,
            device,
            configuration.ToJson(),
            () => CreateLanguageModel(configuration, device));
    }

    public ISequenceClassifier CreateClassifier(ModelConfiguration configuration, Device device)
    {
        var settings = Gpt2Settings.Read(configuration);
        var labels = configuration.Labels() ?? throw configuration.Fault("id2label", "is missing: it names the labels");
        return new CausalSequenceClassifier(new Gpt2ClassifierModule(settings, labels.Count, device), labels, settings.Shape, configuration.TokenId("pad_token_id"), device, configuration.ToJson());
    }

    public string? NameInModule(string nameInFile, ModelConfiguration configuration)
    {
        // A classifier that was made from a language model may still hold its head.
        if (nameInFile == "lm_head.weight" && configuration.Architecture == ClassifierArchitecture) return null;

        // Old files hold the causal mask as a buffer; some a copy of the tied head; the published gpt2 has no prefix.
        if (MaskBuffer().IsMatch(nameInFile)) return null;
        if (nameInFile == "lm_head.weight") return configuration.Flag("tie_word_embeddings", formatDefault: true) ? null : nameInFile;
        return TrunkName().IsMatch(nameInFile) ? $"transformer.{nameInFile}" : nameInFile;
    }

    [GeneratedRegex(@"^(transformer\.)?h\.\d+\.attn\.(masked_)?bias$")]
    private static partial Regex MaskBuffer();

    [GeneratedRegex(@"^(wte|wpe|h|ln_f)\.")]
    private static partial Regex TrunkName();
}
