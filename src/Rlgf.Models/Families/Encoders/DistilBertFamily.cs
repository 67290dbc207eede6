using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Encoders;

/// <summary>DistilBERT (Sanh et al. 2019): BERT's layers under other names, without segments and pooler.</summary>
internal sealed class DistilBertFamily : IModelFamily
{
    private static readonly EncoderNames Names = new(
        "distilbert",
        "transformer.layer",
        new PostNormNames(
            new MultiHeadNames("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"), "sa_layer_norm",
            "ffn.lin1", "ffn.lin2", "output_layer_norm"),
        "pre_classifier",
        "classifier",
        x => nn.functional.relu(x),
        "vocab_projector.weight");

    // Its configuration has no key for it.
    private const double Epsilon = 1e-12;

    private DistilBertFamily() { }

    public static DistilBertFamily Instance { get; } = new();

    public string ModelType => "distilbert";

    public string ClassifierArchitecture => "DistilBertForSequenceClassification";

    public ILanguageModel CreateLanguageModel(ModelConfiguration configuration, Device device) => throw EncoderNaming.WritesNoText(configuration);

    public ISequenceClassifier CreateClassifier(ModelConfiguration configuration, Device device)
    {
        var layer = new PostNormSizes(
            configuration.Size("dim"),
            configuration.Size("n_heads"),
            configuration.Size("hidden_dim"),
            Epsilon,
            Activation.Read(configuration, "activation", formatDefault: "gelu"));
        if (layer.Width % layer.Heads != 0) throw configuration.Fault("n_heads", $"is {layer.Heads}, which doesn't divide dim = {layer.Width}");
        var settings = new EncoderSettings(
            configuration.Size("vocab_size"),
            configuration.Size("max_position_embeddings"),
            Segments: 0,
            configuration.Size("n_layers"),
            layer,
            configuration.Positive("initializer_range", formatDefault: 0.02));
        var labels = EncoderNaming.Labels(configuration);
        return new EncoderClassifier(new EncoderClassifierModule(settings, Names, labels.Count, device), labels, settings, null, device, configuration.ToJson());
    }

    public string? NameInModule(string nameInFile, ModelConfiguration configuration) => EncoderNaming.NameInModule(nameInFile, Names);

    public string? TiedTo(string nameInFile, ModelConfiguration configuration) => EncoderNaming.TiedTo(nameInFile, Names, configuration);

    public bool WritesText => false;

    public bool IsOfHead(string nameInModule) => EncoderNaming.IsOfHead(nameInModule, Names);
}
