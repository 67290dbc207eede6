using Rlgf.Models.Checkpoints;
using Rlgf.Text;

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

    /// <summary>The refusal to be a classifier.</summary>
    public static InputException NoClassifier(ModelConfiguration configuration) =>
        configuration.Fault("model_type", $"is '{configuration.ModelType}': classifiers on an encoder–decoder aren't supported; use one on an encoder (bert, distilbert, roberta) or on a decoder");
}
