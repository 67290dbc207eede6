using System.Text.Json.Nodes;
using Rlgf.Models.Checkpoints;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Encoders;

/// <summary>What a family makes of a configuration.</summary>
/// <param name="Trunk">Makes the encoder without values.</param>
/// <param name="Head">Its head.</param>
/// <param name="PositionsAfterPad">As <see cref="EncoderClassifier"/> has it.</param>
internal sealed record EncoderParts(Func<Device, IEncoderTrunk> Trunk, EncoderHead Head, int? PositionsAfterPad = null);

/// <summary>A family of encoders: a reading of its <c>config.json</c> and its names. The rest is the same for all.</summary>
/// <param name="modelType">The <c>model_type</c>.</param>
/// <param name="className">What the names of its classes begin with in <c>architectures</c>.</param>
/// <param name="names">What its files call its parts.</param>
/// <param name="read">Reads the settings, and refuses by name what isn't supported.</param>
internal sealed class EncoderFamily(string modelType, string className, EncoderNames names, Func<ModelConfiguration, EncoderParts> read) : IModelFamily
{
    /// <summary>Writes further keys that other readers need; null for none.</summary>
    public Action<ModelConfiguration, JsonObject>? WriteForOtherReaders { get; init; }

    public string ModelType => modelType;

    public string ClassifierArchitecture => $"{className}ForSequenceClassification";

    public bool WritesText => false;

    public ILanguageModel CreateLanguageModel(ModelConfiguration configuration, Device device) => throw EncoderNaming.WritesNoText(configuration);

    public ISequenceClassifier CreateClassifier(ModelConfiguration configuration, Device device)
    {
        configuration.RequireUnquantised();
        var parts = read(configuration);
        var labels = EncoderNaming.Labels(configuration);
        return new EncoderClassifier(new EncoderClassifierModule(parts.Trunk(device), parts.Head, names, labels.Count, device), labels, parts.PositionsAfterPad, device, configuration.ToJson());
    }

    public string? NameInModule(string nameInFile, ModelConfiguration configuration) => EncoderNaming.NameInModule(nameInFile, names);

    public string? TiedTo(string nameInFile, ModelConfiguration configuration) => EncoderNaming.TiedTo(nameInFile, names, configuration);

    public bool IsOfHead(string nameInModule) => EncoderNaming.IsOfHead(nameInModule, names);

    public void CompleteForOtherReaders(ModelConfiguration configuration, JsonObject json) => WriteForOtherReaders?.Invoke(configuration, json);
}
