using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.EncoderDecoders;

/// <summary>
/// BART (Lewis et al. 2020): the original transformer's layers, learned positions, and a fixed bias of the logits. Pegasus (Zhang et al. 2020) normalises before its parts and after the last, Marian (Junczys-Dowmunt et al. 2018) as
/// BART does; both have the original transformer's sines and cosines as positions, and no norm of embeddings.
/// </summary>
internal sealed class BartFamily : IModelFamily
{
    private const string LogitsBias = "final_logits_bias";
    private const string Positions = ".embed_positions.weight";

    private readonly BartVariant _variant;

    private BartFamily(BartVariant variant) => _variant = variant;

    public static BartFamily Bart { get; } = new(new BartVariant("bart", "Bart") { NormOfEmbeddings = true, HasClassifier = true });

    public static BartFamily Pegasus { get; } = new(new BartVariant("pegasus", "Pegasus") { NormFirst = true, Positions = PositionKind.Stored });

    public static BartFamily Marian { get; } = new(new BartVariant("marian", "Marian") { Positions = PositionKind.Computed });

    public string ModelType => _variant.ModelType;

    public string ClassifierArchitecture => $"{_variant.ClassName}ForSequenceClassification";

    public ILanguageModel CreateLanguageModel(ModelConfiguration configuration, Device device)
    {
        var settings = BartSettings.Read(configuration, _variant);
        return new EncoderDecoderLanguageModel(
            new BartModule(settings, labels: null, device),
            new LanguageModelShape(settings.Vocabulary, settings.Width, settings.Positions - 1) { Encoder = EncoderDecoderConfiguration.Shape(configuration, settings.Vocabulary, settings.Positions) },
            device,
            configuration.ToJson(),
            () => CreateLanguageModel(configuration, device));
    }

    public ISequenceClassifier CreateClassifier(ModelConfiguration configuration, Device device)
    {
        if (!_variant.HasClassifier) throw configuration.Fault("model_type", $"is '{ModelType}', of which there are no classifiers");
        var settings = BartSettings.Read(configuration, _variant);
        return EncoderDecoderConfiguration.Classifier(configuration, labels => new BartModule(settings, labels, device), settings.Vocabulary, settings.Positions, device);
    }

    public string? NameInModule(string nameInFile, ModelConfiguration configuration)
    {
        // Copies of the embedding, and version numbers of old files.
        var name = InTrunk(nameInFile);
        if (name is "model.encoder.embed_tokens.weight" or "model.decoder.embed_tokens.weight" or "model.encoder.version" or "model.decoder.version") return null;
        if (_variant.Positions == PositionKind.Computed && name.EndsWith(Positions, StringComparison.Ordinal)) return null;
        // A classifier that was made from a language model may still hold its head.
        if (configuration.IsClassifier && name is ("lm_head.weight" or LogitsBias)) return null;
        return name == "lm_head.weight" && configuration.Flag("tie_word_embeddings", formatDefault: true) ? null : name;
    }

    public string? TiedTo(string nameInFile, ModelConfiguration configuration) => InTrunk(nameInFile) switch
    {
        "model.decoder.embed_tokens.weight" or "model.encoder.embed_tokens.weight" => BartModule.SharedEmbedding,
        "lm_head.weight" when configuration.Flag("tie_word_embeddings", formatDefault: true) => BartModule.SharedEmbedding,
        _ => null,
    };

    public EmbeddingNames Embeddings(ModelConfiguration configuration) => new("model.shared", "lm_head", configuration.Flag("tie_word_embeddings", formatDefault: true), CanDiffer: false);

    /// <summary>The trunk alone, as it is saved without a head, has no name itself.</summary>
    private static string InTrunk(string nameInFile) => nameInFile.Split('.')[0] is "shared" or "encoder" or "decoder" ? $"model.{nameInFile}" : nameInFile;

    // Files of the model without its head have none; sines and cosines are known.
    public bool MayBeMissing(string nameInModule) => nameInModule == LogitsBias || (_variant.Positions == PositionKind.Stored && nameInModule.EndsWith(Positions, StringComparison.Ordinal));
}

/// <summary>What tells the families apart whose layers are BART's.</summary>
/// <param name="ModelType">The <c>model_type</c>.</param>
/// <param name="ClassName">What the names of its classes begin with in <c>architectures</c>.</param>
internal sealed record BartVariant(string ModelType, string ClassName)
{
    /// <summary>Whether parts read what is normalised, and there is a norm after the last layer.</summary>
    public bool NormFirst { get; init; }

    /// <summary>Whether embeddings are normalised before the first layer.</summary>
    public bool NormOfEmbeddings { get; init; }

    /// <summary>What a token's position adds.</summary>
    public PositionKind Positions { get; init; }

    /// <summary>Whether transformers has a classifier of it.</summary>
    public bool HasClassifier { get; init; }
}

/// <summary>What a token's position adds to its embedding.</summary>
internal enum PositionKind
{
    /// <summary>A row of a table that is learned, whose first two rows belong to no position.</summary>
    Learned,

    /// <summary>Sines and cosines (Vaswani et al. 2017, section 3.5), which files hold.</summary>
    Stored,

    /// <summary>Sines and cosines, which files needn't hold and don't when they are written.</summary>
    Computed,
}

/// <summary>What the modules need to know, read from <c>config.json</c>.</summary>
/// <param name="Vocabulary">V.</param>
/// <param name="Positions">The most tokens of a prompt; a response has one less, since the decoder's start token takes a place.</param>
/// <param name="EncoderLayers">Layers that read the prompt.</param>
/// <param name="Encoder">Sizes of each.</param>
/// <param name="DecoderLayers">Layers that write the response.</param>
/// <param name="Decoder">Sizes of each.</param>
/// <param name="NormOfEmbeddings">Whether embeddings are normalised before the first layer.</param>
/// <param name="PositionKind">What a token's position adds.</param>
/// <param name="ScaleEmbedding">Whether embeddings are multiplied by √D.</param>
/// <param name="TiedHead">Whether the head is the embedding.</param>
/// <param name="InitialDeviation">Of fresh weights.</param>
internal sealed record BartSettings(
    int Vocabulary, int Positions, int EncoderLayers, TransformerLayerSizes Encoder, int DecoderLayers, TransformerLayerSizes Decoder, bool NormOfEmbeddings, PositionKind PositionKind, bool ScaleEmbedding, bool TiedHead, double InitialDeviation)
{
    // Not in the configuration.
    private const double Epsilon = 1e-5;

    public int Width => Encoder.Width;

    public static BartSettings Read(ModelConfiguration configuration, BartVariant variant)
    {
        configuration.RequireFlag("normalize_before", variant.NormFirst);
        configuration.RequireFlag("add_final_layer_norm", variant.NormFirst);
        configuration.RequireFlag("normalize_embedding", variant.NormOfEmbeddings);
        configuration.RequireFlag("static_position_embeddings", variant.Positions != PositionKind.Learned);
        configuration.RequireFlag("share_encoder_decoder_embeddings", true);
        var vocabulary = configuration.Size("vocab_size");
        if (configuration.OptionalSize("decoder_vocab_size") is { } another && another != vocabulary)
            throw configuration.Fault("decoder_vocab_size", $"is {another}, and vocab_size {vocabulary}: vocabularies of their own for encoder and decoder aren't supported");
        var activation = Activation.Read(configuration, "activation_function", formatDefault: "gelu");
        return new BartSettings(
            vocabulary,
            configuration.Size("max_position_embeddings"),
            configuration.Size("encoder_layers"),
            Sizes("encoder"),
            configuration.Size("decoder_layers"),
            Sizes("decoder"),
            variant.NormOfEmbeddings,
            variant.Positions,
            configuration.Flag("scale_embedding", formatDefault: false),
            configuration.Flag("tie_word_embeddings", formatDefault: true),
            configuration.Positive("init_std", formatDefault: 0.02));

        TransformerLayerSizes Sizes(string half)
        {
            var (width, heads) = (configuration.Size("d_model"), configuration.Size($"{half}_attention_heads"));
            if (width % heads != 0) throw configuration.Fault($"{half}_attention_heads", $"is {heads}, which doesn't divide d_model = {width}");
            return new TransformerLayerSizes(width, heads, configuration.Size($"{half}_ffn_dim"), Epsilon, activation, variant.NormFirst);
        }
    }
}
