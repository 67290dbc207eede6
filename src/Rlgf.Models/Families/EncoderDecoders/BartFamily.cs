using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.EncoderDecoders;

/// <summary>BART (Lewis et al. 2020): the original transformer's layers, learned positions, and a fixed bias of the logits.</summary>
internal sealed class BartFamily : IModelFamily
{
    private const string LogitsBias = "final_logits_bias";

    private BartFamily() { }

    public static BartFamily Instance { get; } = new();

    public string ModelType => "bart";

    public string ClassifierArchitecture => "BartForSequenceClassification";

    public ILanguageModel CreateLanguageModel(ModelConfiguration configuration, Device device)
    {
        var settings = BartSettings.Read(configuration);
        return new EncoderDecoderLanguageModel(
            new BartModule(settings, labels: null, device),
            new LanguageModelShape(settings.Vocabulary, settings.Width, settings.Positions - 1) { Encoder = EncoderDecoderConfiguration.Shape(configuration, settings.Vocabulary, settings.Positions) },
            device,
            configuration.ToJson(),
            () => CreateLanguageModel(configuration, device));
    }

    public ISequenceClassifier CreateClassifier(ModelConfiguration configuration, Device device)
    {
        var settings = BartSettings.Read(configuration);
        return EncoderDecoderConfiguration.Classifier(configuration, labels => new BartModule(settings, labels, device), settings.Vocabulary, settings.Positions, device);
    }

    public string? NameInModule(string nameInFile, ModelConfiguration configuration)
    {
        // Copies of the embedding, and version numbers of old files.
        var name = InTrunk(nameInFile);
        if (name is "model.encoder.embed_tokens.weight" or "model.decoder.embed_tokens.weight" or "model.encoder.version" or "model.decoder.version") return null;
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

    // Files of the model without its head have none.
    public bool MayBeMissing(string nameInModule) => nameInModule == LogitsBias;
}

/// <summary>What the modules need to know, read from <c>config.json</c>.</summary>
/// <param name="Vocabulary">V.</param>
/// <param name="Positions">The most tokens of a prompt; a response has one less, since the decoder's start token takes a place.</param>
/// <param name="EncoderLayers">Layers that read the prompt.</param>
/// <param name="Encoder">Sizes of each.</param>
/// <param name="DecoderLayers">Layers that write the response.</param>
/// <param name="Decoder">Sizes of each.</param>
/// <param name="ScaleEmbedding">Whether embeddings are multiplied by √D.</param>
/// <param name="TiedHead">Whether the head is the embedding.</param>
/// <param name="InitialDeviation">Of fresh weights.</param>
internal sealed record BartSettings(
    int Vocabulary, int Positions, int EncoderLayers, PostNormSizes Encoder, int DecoderLayers, PostNormSizes Decoder, bool ScaleEmbedding, bool TiedHead, double InitialDeviation)
{
    // Not in the configuration.
    private const double Epsilon = 1e-5;

    public int Width => Encoder.Width;

    public static BartSettings Read(ModelConfiguration configuration)
    {
        configuration.RequireFlag("normalize_before", false);
        configuration.RequireFlag("add_final_layer_norm", false);
        configuration.RequireFlag("normalize_embedding", true);
        configuration.RequireFlag("static_position_embeddings", false);
        var activation = Activation.Read(configuration, "activation_function", formatDefault: "gelu");
        return new BartSettings(
            configuration.Size("vocab_size"),
            configuration.Size("max_position_embeddings"),
            configuration.Size("encoder_layers"),
            Sizes("encoder"),
            configuration.Size("decoder_layers"),
            Sizes("decoder"),
            configuration.Flag("scale_embedding", formatDefault: false),
            configuration.Flag("tie_word_embeddings", formatDefault: true),
            configuration.Positive("init_std", formatDefault: 0.02));

        PostNormSizes Sizes(string half)
        {
            var (width, heads) = (configuration.Size("d_model"), configuration.Size($"{half}_attention_heads"));
            if (width % heads != 0) throw configuration.Fault($"{half}_attention_heads", $"is {heads}, which doesn't divide d_model = {width}");
            return new PostNormSizes(width, heads, configuration.Size($"{half}_ffn_dim"), Epsilon, activation);
        }
    }
}
