using Rlgf.Tokenizers.Parts;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>Reads the "post_processor" section of <c>tokenizer.json</c>.</summary>
internal static class PostProcessorReader
{
    private const int MostSpecialTokens = 100;

    /// <summary>Adds to the parts what a post-processor puts around texts and how it trims offsets.</summary>
    public static TokenizerParts Read(JsonPart processor, TokenizerParts parts)
    {
        switch (TokenizerJson.TypeOf(processor))
        {
            case "Sequence":
                var steps = processor.Required("processors").Items().ToList();
                // What the library makes of a template of a template is no text with special tokens around it.
                foreach (var second in steps.Where(step => TokenizerJson.TypeOf(step) is not "ByteLevel" and not "Sequence").Skip(1))
                    throw second.Error($"is of type \"{TokenizerJson.TypeOf(second)}\" after another that adds special tokens, which isn't supported; one is");
                return steps.Aggregate(parts, (sum, step) => Read(step, sum));
            case "ByteLevel":
                return parts with { OffsetTrimming = ReadOffsetTrimming(processor) ?? parts.OffsetTrimming };
            case "RobertaProcessing":
                var (start, end) = (ReadToken(processor.Required("cls")), ReadToken(processor.Required("sep")));
                return parts with
                {
                    OffsetTrimming = ReadOffsetTrimming(processor),
                    Single = new([Special(start, 0), Text(0), Special(end, 0)]),
                    Pair = new([Special(start, 0), Text(0), Special([.. end, .. end], 0), Text(0, isSecond: true), Special(end, 0)]),
                };
            case "BertProcessing":
                var (classifier, separator) = (ReadToken(processor.Required("cls")), ReadToken(processor.Required("sep")));
                return parts with
                {
                    Single = new([Special(classifier, 0), Text(0), Special(separator, 0)]),
                    Pair = new([Special(classifier, 0), Text(0), Special(separator, 0), Text(1, isSecond: true), Special(separator, 1)]),
                };
            case "TemplateProcessing":
                return parts with { Single = ReadTemplate(processor, "single", pair: false), Pair = ReadTemplate(processor, "pair", pair: true) };
            default:
                throw TokenizerJson.Unsupported(processor, "ByteLevel, RobertaProcessing, BertProcessing, TemplateProcessing and Sequence are");
        }
    }

    /// <summary>Special tokens as a part of a template.</summary>
    public static TemplatePart Special(int[] ids, int type) => new(ids, IsSecond: false, type);

    /// <summary>A text as a part of a template.</summary>
    public static TemplatePart Text(int type, bool isSecond = false) => new(null, isSecond, type);

    private static OffsetTrimming? ReadOffsetTrimming(JsonPart processor) =>
        processor.Flag("trim_offsets", otherwise: true) ? new OffsetTrimming(processor.Flag("add_prefix_space", otherwise: true)) : null;

    /// <summary>Reads <c>["[CLS]", 101]</c>.</summary>
    private static int[] ReadToken(JsonPart token) =>
        token.Items().Take(3).ToArray() is [_, var id] ? [id.AsId()] : throw token.Error("must be a token and its id");

    private static Template ReadTemplate(JsonPart processor, string key, bool pair)
    {
        var template = processor.Required(key);
        var parts = new List<TemplatePart>();
        foreach (var piece in template.Items().Take(MostSpecialTokens + 3))
        {
            if (piece.Optional("SpecialToken") is { } special)
            {
                var definition = processor.Required("special_tokens").Required(special.Required("id").AsString());
                parts.Add(Special([.. definition.Required("ids").Items().Take(MostSpecialTokens + 1).Select(id => id.AsId())], TypeOf(special)));
                continue;
            }
            var sequence = piece.Required("Sequence");
            parts.Add(Text(TypeOf(sequence), sequence.Required("id").AsString() switch
            {
                "A" => false,
                "B" when pair => true,
                var other => throw sequence.Error($"is text \"{other}\", which this template isn't given"),
            }));
        }
        if (parts.Sum(part => (long)(part.Ids?.Length ?? 0)) > MostSpecialTokens)
            throw template.Error($"adds more than {MostSpecialTokens} special tokens");
        foreach (var second in (bool[])(pair ? [false, true] : [false]))
        {
            if (parts.Count(part => part.Ids is null && part.IsSecond == second) != 1)
                throw template.Error($"must have text \"{(second ? "B" : "A")}\" once");
        }
        return new Template(parts);
    }

    private static int TypeOf(JsonPart part) => part.Optional("type_id")?.AsCount() ?? 0;
}
