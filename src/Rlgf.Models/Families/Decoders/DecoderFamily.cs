using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Decoders;

/// <summary>A family of decoder-only models: a reading of its <c>config.json</c>. The rest is the same for all.</summary>
/// <param name="modelType">The <c>model_type</c>.</param>
/// <param name="className">What the names of its classes begin with in <c>architectures</c>.</param>
/// <param name="read">Reads the settings, and refuses by name what isn't supported.</param>
internal sealed partial class DecoderFamily(string modelType, string className, Func<ModelConfiguration, DecoderSettings> read) : IModelFamily
{
    /// <summary>The older keys of its rotation; null where it has none, or only one form of them.</summary>
    public RotaryKeys? Rotary { get; init; }

    /// <summary>Adds what the format means where a key isn't there; null for nothing.</summary>
    public Func<ModelConfiguration, ModelConfiguration>? Complete { get; init; }

    /// <summary>Writes further keys that other readers need; null for none.</summary>
    public Action<ModelConfiguration, JsonObject>? WriteForOtherReaders { get; init; }

    public string ModelType => modelType;

    public string ClassifierArchitecture => $"{className}ForSequenceClassification";

    public ILanguageModel CreateLanguageModel(ModelConfiguration configuration, Device device)
    {
        var settings = Read(configuration);
        return new CausalLanguageModel(new DecoderModule(settings, labels: null, device), settings.Shape, device, configuration.ToJson(), () => CreateLanguageModel(configuration, device));
    }

    public ISequenceClassifier CreateClassifier(ModelConfiguration configuration, Device device)
    {
        var settings = Read(configuration);
        var labels = configuration.Labels() ?? throw configuration.Fault("id2label", "is missing: it names the labels");
        return new CausalSequenceClassifier(new DecoderModule(settings, labels.Count, device), labels, settings.Shape, configuration.TokenId("pad_token_id"), device, configuration.ToJson());
    }

    public string? NameInModule(string nameInFile, ModelConfiguration configuration)
    {
        var settings = Read(configuration);
        var names = settings.Names;
        if (configuration.IsTextPart)
        {
            if (TextPart.NameOf(nameInFile, names.Trunk) is not { } ofText) return null;
            nameInFile = ofText;
        }

        // Old files hold the causal mask and the rotation's frequencies.
        if (Buffer().IsMatch(nameInFile)) return null;

        // A classifier that was made from a language model may still hold its head; some files hold a copy of a tied one.
        if (nameInFile.StartsWith($"{names.Head}.", StringComparison.Ordinal))
            return configuration.Architecture == ClassifierArchitecture || (settings.TiedHead && nameInFile == $"{names.Head}.weight") ? null : nameInFile;

        // The trunk alone, as it is saved without a head, has no name itself.
        var root = FirstLevel(names.Trunk);
        string?[] inTrunk = [names.TokenEmbedding, names.PositionEmbedding, names.EmbeddingNorm, names.Layers, names.FinalNorm];
        var belowRoot = inTrunk.OfType<string>().Select(name => FirstLevel($"{names.Trunk}.{name}"[(root.Length + 1)..]));
        return belowRoot.Contains(FirstLevel(nameInFile), StringComparer.Ordinal) ? $"{root}.{nameInFile}" : nameInFile;
    }

    public string? TiedTo(string nameInFile, ModelConfiguration configuration)
    {
        var settings = Read(configuration);
        if (configuration.IsTextPart && TextPart.NameOf(nameInFile, settings.Names.Trunk) is { } ofText) nameInFile = ofText;
        return settings.TiedHead && nameInFile == $"{settings.Names.Head}.weight" ? $"{settings.Names.Trunk}.{settings.Names.TokenEmbedding}.weight" : null;
    }

    public EmbeddingNames Embeddings(ModelConfiguration configuration)
    {
        var settings = Read(configuration);
        return new EmbeddingNames($"{settings.Names.Trunk}.{settings.Names.TokenEmbedding}", settings.Names.Head, settings.TiedHead, CanDiffer: true);
    }

    public void CompleteForOtherReaders(ModelConfiguration configuration, JsonObject json)
    {
        if (Complete is not null) configuration = Complete(configuration);
        if (Rotary is not null) RotarySetting.Read(configuration, Rotary).WriteTo(json, Rotary);
        WriteForOtherReaders?.Invoke(configuration, json);
    }

    private DecoderSettings Read(ModelConfiguration configuration)
    {
        configuration.RequireFlag("add_cross_attention", false);
        configuration.RequireUnquantised();
        return read(Complete is null ? configuration : Complete(configuration));
    }

    private static string FirstLevel(string name) => name.Split('.', 2)[0];

    [GeneratedRegex(@"\.(attn|attention)\.(masked_)?bias$|\.rotary_emb\.inv_freq$")]
    private static partial Regex Buffer();
}
