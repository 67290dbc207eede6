using Rlgf.Models.Checkpoints;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.EncoderDecoders;

/// <summary>What the configurations of all encoder–decoders have in common.</summary>
internal static class EncoderDecoderConfiguration
{
    /// <summary>The encoder's shape, with the token that the decoder begins with.</summary>
    public static EncoderShape Shape(ModelConfiguration configuration, int vocabulary, int contextLength)
    {
        const string Key = "decoder_start_token_id";
        var start = configuration.TokenId(Key) ?? throw configuration.Fault(Key, "is missing: it names the token that the decoder begins with");
        return start < vocabulary ? new EncoderShape(contextLength, start) : throw configuration.Fault(Key, $"is {start} and vocab_size {vocabulary}");
    }

    /// <summary>Makes a classifier of a transformer.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="create">Builds the transformer with a head for so many labels.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="contextLength">The most tokens of a text.</param>
    /// <param name="device">Where its parameters are.</param>
    public static EncoderDecoderClassifier Classifier(ModelConfiguration configuration, Func<int, IEncoderDecoder> create, int vocabulary, int contextLength, Device device)
    {
        const string Key = "eos_token_id";
        var labels = configuration.Labels() ?? throw configuration.Fault("id2label", "is missing: it names the labels");
        var end = configuration.TokenId(Key) ?? throw configuration.Fault(Key, "is missing: it names the token at which the labels are read");
        if (end >= vocabulary) throw configuration.Fault(Key, $"is {end} and vocab_size {vocabulary}");
        return new EncoderDecoderClassifier(create(labels.Count), labels, Shape(configuration, vocabulary, contextLength), vocabulary, end, device, configuration.ToJson());
    }
}
