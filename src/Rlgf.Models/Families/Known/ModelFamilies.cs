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
        Qwen2Family.Instance, Qwen3Family.Instance, Phi3Family.Instance, GemmaFamily.Instance, Gemma2Family.Instance, Gemma3Family.Instance,
        Qwen3MoeFamily.Instance, MixtralFamily.Instance, GptOssFamily.Instance, Qwen35Family.Instance, Lfm2Family.Instance, SmolLm3Family.Instance, GraniteFamily.Instance, GraniteMoeHybridFamily.Instance, Olmo2Family.Instance, Ministral3Family.Instance,
        GptNeoFamily.Instance, StableLmFamily.Instance, Starcoder2Family.Instance, GptBigCodeFamily.Instance, BloomFamily.Instance, FalconFamily.Instance, NanoChatFamily.Instance,
        T5Family.T5, T5Family.MT5, T5Family.UMT5, BartFamily.Bart, BartFamily.Pegasus, BartFamily.Marian,
        BertFamily.Bert, BertFamily.Roberta, BertFamily.XlmRoberta, BertFamily.Electra, AlbertFamily.Instance, DistilBertFamily.Instance, DebertaFamily.Instance, ModernBertFamily.Instance,
    ];

    private static readonly Dictionary<string, IModelFamily> ByType = All.ToDictionary(family => family.ModelType, StringComparer.Ordinal);

    /// <summary>Every <c>model_type</c> that can be read, those of models that are read as their text part too.</summary>
    public static IReadOnlyCollection<string> Types { get; } = [.. All.Select(family => family.ModelType).Concat(TextPart.WholeTypes).Order(StringComparer.Ordinal)];

    /// <summary>The family of a configuration.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public static IModelFamily Of(ModelConfiguration configuration) =>
        ByType.TryGetValue(configuration.ModelType, out var family)
            ? family
            : throw configuration.Fault("model_type", Unknown(configuration.ModelType));

    private static string Unknown(string type)
    {
        var answer = Spelling.Nearest(type, Types) is { } nearest ? $"which isn't supported; the nearest that is known is '{nearest}'" : $"known families are {string.Join(", ", Types)}";
        return $"is '{type}'{(answer.StartsWith("known", StringComparison.Ordinal) ? ": " : ", ")}{answer} (CONTRIBUTING.md says how to add one)";
    }
}
