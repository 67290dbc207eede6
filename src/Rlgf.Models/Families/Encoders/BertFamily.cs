using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Encoders;

/// <summary>BERT (Devlin et al. 2019) and RoBERTa (Liu et al. 2019): the same layers; RoBERTa counts positions after its padding id, has no pooler and a head of its own.</summary>
internal sealed class BertFamily : IModelFamily
{
    private static readonly PostNormNames Layer = new(
        new MultiHeadNames("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"), "attention.output.LayerNorm",
        "intermediate.dense", "output.dense", "output.LayerNorm");

    private readonly EncoderNames _names;
    private readonly bool _countsPositionsAfterPad;

    private BertFamily(string modelType, string classifierArchitecture, EncoderNames names, bool countsPositionsAfterPad)
    {
        ModelType = modelType;
        ClassifierArchitecture = classifierArchitecture;
        _names = names;
        _countsPositionsAfterPad = countsPositionsAfterPad;
    }

    /// <summary>BERT.</summary>
    public static BertFamily Bert { get; } =
        new("bert", "BertForSequenceClassification", new EncoderNames("bert", "encoder.layer", Layer, "bert.pooler.dense", "classifier", tanh, "cls.predictions.decoder.weight"), countsPositionsAfterPad: false);

    /// <summary>RoBERTa.</summary>
    public static BertFamily Roberta { get; } =
        new("roberta", "RobertaForSequenceClassification", new EncoderNames("roberta", "encoder.layer", Layer, "classifier.dense", "classifier.out_proj", tanh, "lm_head.decoder.weight"), countsPositionsAfterPad: true);

    public string ModelType { get; }

    public string ClassifierArchitecture { get; }

    public ILanguageModel CreateLanguageModel(ModelConfiguration configuration, Device device) => throw EncoderNaming.WritesNoText(configuration);

    public ISequenceClassifier CreateClassifier(ModelConfiguration configuration, Device device)
    {
        var settings = Read(configuration);
        int? pad = _countsPositionsAfterPad ? configuration.TokenId("pad_token_id") ?? 1 : null;
        if (pad + 1 >= settings.Positions) throw configuration.Fault("max_position_embeddings", $"is {settings.Positions}: none are left after those up to pad_token_id = {pad}");
        var labels = EncoderNaming.Labels(configuration);
        return new EncoderClassifier(new EncoderClassifierModule(settings, _names, labels.Count, device), labels, settings, pad, device, configuration.ToJson());
    }

    public string? NameInModule(string nameInFile, ModelConfiguration configuration) => EncoderNaming.NameInModule(nameInFile, _names);

    public string? TiedTo(string nameInFile, ModelConfiguration configuration) => EncoderNaming.TiedTo(nameInFile, _names, configuration);

    public bool WritesText => false;

    public bool IsOfHead(string nameInModule) => EncoderNaming.IsOfHead(nameInModule, _names);

    private static EncoderSettings Read(ModelConfiguration configuration)
    {
        configuration.RequireFlag("is_decoder", false);
        configuration.RequireFlag("add_cross_attention", false);
        if ((configuration.Text("position_embedding_type") ?? "absolute") is var positions and not "absolute")
            throw configuration.Fault("position_embedding_type", $"is '{positions}': only absolute positions are supported");
        var layer = new PostNormSizes(
            configuration.Size("hidden_size"),
            configuration.Size("num_attention_heads"),
            configuration.Size("intermediate_size"),
            configuration.Positive("layer_norm_eps", formatDefault: 1e-12),
            Activation.Read(configuration, "hidden_act", formatDefault: "gelu"));
        if (layer.Width % layer.Heads != 0) throw configuration.Fault("num_attention_heads", $"is {layer.Heads}, which doesn't divide hidden_size = {layer.Width}");
        return new EncoderSettings(
            configuration.Size("vocab_size"),
            configuration.Size("max_position_embeddings"),
            configuration.OptionalSize("type_vocab_size") ?? 2,
            configuration.Size("num_hidden_layers"),
            layer,
            configuration.Positive("initializer_range", formatDefault: 0.02));
    }
}
