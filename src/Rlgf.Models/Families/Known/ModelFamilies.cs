using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.Decoders;
using Rlgf.Models.Families.EncoderDecoders;
using Rlgf.Models.Families.Encoders;
using Rlgf.Models.Families.Gpt2;

namespace Rlgf.Models.Families.Known;

/// <summary>The families that can be read.</summary>
internal static class ModelFamilies
{
    private static readonly IModelFamily[] All =
    [
        Gpt2Family.Instance, GptNeoXFamily.Instance, GptJFamily.Instance, OptFamily.Instance, LlamaFamily.Instance, MistralFamily.Instance,
        Qwen2Family.Instance, Qwen3Family.Instance, Phi3Family.Instance, GemmaFamily.Instance,
        T5Family.Instance, BartFamily.Instance, BertFamily.Bert, BertFamily.Roberta, DistilBertFamily.Instance,
    ];

    private static readonly Dictionary<string, IModelFamily> ByType = All.ToDictionary(family => family.ModelType, StringComparer.Ordinal);

    /// <summary>The family of a configuration.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public static IModelFamily Of(ModelConfiguration configuration) =>
        ByType.TryGetValue(configuration.ModelType, out var family)
            ? family
            : throw configuration.Fault("model_type", $"is '{configuration.ModelType}': known families are {string.Join(", ", ByType.Keys.Order(StringComparer.Ordinal))}");
}
