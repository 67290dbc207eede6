using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.EncoderDecoders;

/// <summary>
/// T5 (Raffel et al. 2020), version 1.1 (gated network, head of its own) and what was tuned from it, such as Flan-T5; mT5 (Xue et al. 2021), which is version 1.1 in many languages, and UMT5 (Chung et al. 2023), whose every layer
/// has a bias by distance of its own.
/// </summary>
internal sealed class T5Family : IModelFamily
{
    private readonly T5Variant _variant;

    private T5Family(T5Variant variant) => _variant = variant;

    public static T5Family T5 { get; } = new(T5Variant.T5);

    public static T5Family MT5 { get; } = new(new T5Variant("mt5", "MT5") { HeadIsScaled = false });

    public static T5Family UMT5 { get; } = new(new T5Variant("umt5", "UMT5") { HeadIsScaled = true, BiasInEveryLayer = true });

    public string ModelType => _variant.ModelType;

    public string ClassifierArchitecture => $"{_variant.ClassName}ForSequenceClassification";

    public ILanguageModel CreateLanguageModel(ModelConfiguration configuration, Device device)
    {
        var settings = T5Settings.Read(configuration, _variant);
        return new EncoderDecoderLanguageModel(
            new T5Module(settings, labels: null, device),
            new LanguageModelShape(settings.Vocabulary, settings.Width, int.MaxValue) { Encoder = EncoderDecoderConfiguration.Shape(configuration, settings.Vocabulary, int.MaxValue) },
            device,
            configuration.ToJson(),
            () => CreateLanguageModel(configuration, device));
    }

    public ISequenceClassifier CreateClassifier(ModelConfiguration configuration, Device device)
    {
        var settings = T5Settings.Read(configuration, _variant);
        return EncoderDecoderConfiguration.Classifier(configuration, labels => new T5Module(settings, labels, device), settings.Vocabulary, int.MaxValue, device);
    }

    public string? NameInModule(string nameInFile, ModelConfiguration configuration)
    {
        var inTrunk = InTrunk(nameInFile, configuration);

        // Copies of the embedding, and a bias that the first uploads hold and no version ever used.
        if (inTrunk is "encoder.embed_tokens.weight" or "decoder.embed_tokens.weight" or "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight") return null;
        if (!configuration.IsClassifier) return inTrunk == "lm_head.weight" && _variant.HasTiedHead(configuration) ? null : inTrunk;
        if (inTrunk == "lm_head.weight") return null;
        return inTrunk.StartsWith("classification_head.", StringComparison.Ordinal) ? inTrunk : T5Module.Trunk + inTrunk;
    }

    public string? TiedTo(string nameInFile, ModelConfiguration configuration)
    {
        var embedding = configuration.IsClassifier ? $"{T5Module.Trunk}shared.weight" : "shared.weight";
        return InTrunk(nameInFile, configuration) switch
        {
            "decoder.embed_tokens.weight" or "encoder.embed_tokens.weight" => embedding,
            "lm_head.weight" when _variant.HasTiedHead(configuration) => embedding,
            _ => null,
        };
    }

    public EmbeddingNames Embeddings(ModelConfiguration configuration) => new($"{(configuration.IsClassifier ? T5Module.Trunk : "")}shared", "lm_head", _variant.HasTiedHead(configuration), CanDiffer: false);

    // transformers 4 ties and scales by the first key; 5 scales T5 by the second, mT5 never and UMT5 always.
    public void CompleteForOtherReaders(ModelConfiguration configuration, JsonObject json)
    {
        json["tie_word_embeddings"] = _variant.HasTiedHead(configuration);
        json["scale_decoder_outputs"] = _variant.HasScaledHead(configuration);
    }

    /// <summary>A classifier's trunk has a name; that of a language model, which it may have been made from, has none.</summary>
    private static string InTrunk(string nameInFile, ModelConfiguration configuration) =>
        configuration.IsClassifier && nameInFile.StartsWith(T5Module.Trunk, StringComparison.Ordinal) ? nameInFile[T5Module.Trunk.Length..] : nameInFile;
}

/// <summary>What tells the families apart whose layers are T5's.</summary>
/// <param name="ModelType">The <c>model_type</c>.</param>
/// <param name="ClassName">What the names of its classes begin with in <c>architectures</c>.</param>
internal sealed record T5Variant(string ModelType, string ClassName)
{
    private const string ScaledKey = "scale_decoder_outputs";

    /// <summary>T5 itself, whose configuration says what its head is.</summary>
    public static T5Variant T5 { get; } = new("t5", "T5");

    /// <summary>Of a family whose head is never the embedding: whether states are scaled before it, where the configuration doesn't say otherwise; null where a tied head alone is scaled.</summary>
    public bool? HeadIsScaled { get; init; }

    /// <summary>Whether every layer has a bias by distance, rather than the first for all.</summary>
    public bool BiasInEveryLayer { get; init; }

    /// <summary>
    /// Whether the head is the embedding. transformers 4 says so by <c>tie_word_embeddings</c>; 5 always writes true there and has <c>scale_decoder_outputs</c> for what goes with it.
    /// </summary>
    public bool HasTiedHead(ModelConfiguration configuration) =>
        HeadIsScaled is null && configuration.Flag(ScaledKey, formatDefault: configuration.Flag("tie_word_embeddings", formatDefault: true));

    /// <summary>Whether states are scaled by D^−½ before the head.</summary>
    public bool HasScaledHead(ModelConfiguration configuration) => HeadIsScaled is { } byFormat ? configuration.Flag(ScaledKey, byFormat) : HasTiedHead(configuration);
}

/// <summary>What the modules need to know, read from <c>config.json</c>.</summary>
/// <param name="Vocabulary">V.</param>
/// <param name="Width">D.</param>
/// <param name="EncoderLayers">Layers that read the prompt.</param>
/// <param name="DecoderLayers">Layers that write the response.</param>
/// <param name="Heads">H.</param>
/// <param name="HeadSize">Numbers of a query; H of them together need not be D.</param>
/// <param name="Inner">Width inside the two-layer network.</param>
/// <param name="Gated">Whether the network has a second first product, which its activation is multiplied with.</param>
/// <param name="Activation">Of the network.</param>
/// <param name="Buckets">How many kinds of distance are told apart.</param>
/// <param name="MaxDistance">From which distance on they are not told apart.</param>
/// <param name="Epsilon">Of the norms.</param>
/// <param name="TiedHead">Whether the head is the embedding.</param>
/// <param name="ScaledHead">Whether states are scaled by D^−½ before the head.</param>
/// <param name="BiasInEveryLayer">Whether every layer has a bias by distance, rather than the first for all.</param>
/// <param name="InitialFactor">Scales fresh weights.</param>
internal sealed record T5Settings(
    int Vocabulary, int Width, int EncoderLayers, int DecoderLayers, int Heads, int HeadSize, int Inner, bool Gated, Activation Activation,
    int Buckets, int MaxDistance, double Epsilon, bool TiedHead, bool ScaledHead, bool BiasInEveryLayer, double InitialFactor)
{
    public static T5Settings Read(ModelConfiguration configuration, T5Variant variant)
    {
        configuration.RequireFlag("is_decoder", false);
        var layers = configuration.Size("num_layers");
        var network = configuration.Text("feed_forward_proj") ?? "relu";
        var gated = network.StartsWith("gated-", StringComparison.Ordinal);
        var buckets = configuration.OptionalSize("relative_attention_num_buckets") ?? 32;
        var maxDistance = configuration.OptionalSize("relative_attention_max_distance") ?? 128;
        if (buckets < 4) throw configuration.Fault("relative_attention_num_buckets", $"is {buckets}: it must be at least 4, for two directions and for near and far");
        if (maxDistance <= buckets / 2) throw configuration.Fault("relative_attention_max_distance", $"is {maxDistance}: it must be above half of relative_attention_num_buckets = {buckets}");
        return new T5Settings(
            configuration.Size("vocab_size"),
            configuration.Size("d_model"),
            layers,
            configuration.OptionalSize("num_decoder_layers") ?? layers,
            configuration.Size("num_heads"),
            configuration.Size("d_kv"),
            configuration.Size("d_ff"),
            gated,
            // "gated-gelu" has always meant the tanh form.
            Blocks.Activation.Named(network switch { "gated-gelu" => "gelu_new", _ when gated => network["gated-".Length..], _ => network }, configuration, "feed_forward_proj"),
            buckets,
            maxDistance,
            configuration.Positive("layer_norm_epsilon", formatDefault: 1e-6),
            variant.HasTiedHead(configuration),
            variant.HasScaledHead(configuration),
            variant.BiasInEveryLayer,
            configuration.Positive("initializer_factor", formatDefault: 1));
    }
}
