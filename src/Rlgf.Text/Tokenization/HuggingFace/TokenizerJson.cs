using Rlgf.Text.Tokenization.Normalization;
using Rlgf.Text.Tokenization.Subwords;
using Rlgf.Text.Tokenization.Words;

namespace Rlgf.Text.Tokenization.HuggingFace;

/// <summary>Reads <c>tokenizer.json</c>, the format of the <c>tokenizers</c> library: one component per section, each named by its "type".</summary>
internal static class TokenizerJson
{
    /// <summary>Reads the whole pipeline; the tokens with a role are not in this file.</summary>
    public static TokenizerParts Read(JsonPart root)
    {
        RequireByteLevelDecoder(root);
        var model = ReadModel(root.Required("model"));
        var (preTokenizer, addsPrefixSpace) = ReadPreTokenizer(root.Required("pre_tokenizer"));
        var parts = new TokenizerParts
        {
            Model = model,
            AddedTokens = root.Optional("added_tokens")?.Items().Select(token => ReadAddedToken(token)).ToList() ?? [],
            Normalizer = root.Optional("normalizer") is { } normalizer ? ReadNormalizer(normalizer) : null,
            AddsPrefixSpace = addsPrefixSpace,
            PreTokenizer = preTokenizer,
        };
        return root.Optional("post_processor") is { } processor ? ReadPostProcessor(processor, parts) : parts;
    }

    /// <summary>Reads an entry of "added_tokens", also of the same form in <c>tokenizer_config.json</c>.</summary>
    public static AddedToken ReadAddedToken(JsonPart token) => ReadAddedToken(token, token.Required("id").AsId());

    /// <inheritdoc cref="ReadAddedToken(JsonPart)"/>
    public static AddedToken ReadAddedToken(JsonPart token, int id) => new(
        id,
        token.Required("content").AsString(),
        IsSpecial: token.Flag("special"),
        IsNormalized: token.Flag("normalized", otherwise: !token.Flag("special")),
        IsSingleWord: token.Flag("single_word"),
        TakesSpaceBefore: token.Flag("lstrip"),
        TakesSpaceAfter: token.Flag("rstrip"));

    private static string TypeOf(JsonPart component) => component.Required("type").AsString();

    private static InputException Unsupported(JsonPart component, string supported) =>
        component.Error($"is of type \"{TypeOf(component)}\", which isn't supported; {supported}");

    private static ByteLevelBpe ReadModel(JsonPart model)
    {
        // Older files have no "type"; of the models, only BPE has merges.
        if (model.Optional("type") is { } type && type.AsString() != "BPE")
            throw Unsupported(model, "byte-level \"BPE\" is");
        foreach (var affix in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (model.Optional(affix) is { } value && value.AsString().Length > 0)
                throw value.Error("isn't supported; byte-level BPE has none");
        }
        if (model.Flag("byte_fallback"))
            throw model.Required("byte_fallback").Error("isn't supported; byte-level BPE has no need of it");
        if (model.Optional("dropout") is { } dropout && dropout.AsNumber() != 0)
            throw dropout.Error("isn't supported; set it to null");

        var vocabulary = BpeVocabulary.ReadVocabulary(model.Required("vocab"));
        int? unknownId = null;
        if (model.Optional("unk_token") is { } unknown)
            unknownId = vocabulary.TryGetValue(unknown.AsString(), out var id) ? id : throw unknown.Error($"names \"{unknown.AsString()}\", which isn't in the vocabulary");
        var merges = model.Required("merges").Items().Select(ReadMerge).ToList();
        return new ByteLevelBpe(vocabulary, BpeVocabulary.Check(merges, vocabulary), unknownId, model.Flag("ignore_merges"));
    }

    private static (string Left, string Right, Func<string, InputException> Error) ReadMerge(JsonPart merge)
    {
        // A string in older files, a pair since tokens may contain spaces.
        var parts = merge.IsString ? merge.AsString().Split(' ') : [.. merge.Items().Select(part => part.AsString())];
        return parts.Length == 2 ? (parts[0], parts[1], merge.Error) : throw merge.Error("must be a pair of tokens");
    }

    private static void RequireByteLevelDecoder(JsonPart root)
    {
        // The model is named first where it's the reason, since that says more about the file than its decoder.
        if (root.Required("model").Optional("type") is { } type && type.AsString() != "BPE")
            throw Unsupported(root.Required("model"), "byte-level \"BPE\" is");
        if (root.Optional("decoder") is not { } decoder)
            throw root.Error("lacks \"decoder\"; a byte-level tokenizer has \"ByteLevel\" there");
        if (TypeOf(decoder) != "ByteLevel")
            throw Unsupported(decoder, "\"ByteLevel\" is");
    }

    private static INormalizer? ReadNormalizer(JsonPart normalizer)
    {
        switch (TypeOf(normalizer))
        {
            case "NFC":
                return new NfcNormalizer();
            case "Sequence":
                var steps = normalizer.Required("normalizers").Items().Select(ReadNormalizer).OfType<INormalizer>().ToList();
                return steps.Count == 0 ? null : new NormalizerSequence(steps);
            default:
                throw Unsupported(normalizer, "\"NFC\" and none are");
        }
    }

    private static (PreTokenizerSequence Steps, bool AddsPrefixSpace) ReadPreTokenizer(JsonPart preTokenizer)
    {
        var steps = new List<IPreTokenizer>();
        var addsPrefixSpace = false;
        var isByteLevel = false;
        AddSteps(preTokenizer);
        return isByteLevel
            ? (new PreTokenizerSequence(steps), addsPrefixSpace)
            : throw preTokenizer.Error("has no \"ByteLevel\" step; only byte-level tokenizers are supported");

        void AddSteps(JsonPart step)
        {
            switch (TypeOf(step))
            {
                case "Sequence":
                    foreach (var part in step.Required("pretokenizers").Items())
                        AddSteps(part);
                    break;
                case "ByteLevel":
                    isByteLevel = true;
                    addsPrefixSpace = step.Flag("add_prefix_space", otherwise: true);
                    if (addsPrefixSpace && steps.Count > 0)
                        throw step.Required("add_prefix_space").Error("isn't supported after another step, where it would be for every word");
                    if (step.Flag("use_regex", otherwise: true))
                        steps.Add(new PatternPreTokenizer(new Gpt2Pattern()));
                    break;
                case "Split":
                    steps.Add(ReadSplit(step));
                    break;
                default:
                    throw Unsupported(step, "\"ByteLevel\", \"Split\" and \"Sequence\" are");
            }
        }
    }

    private static PatternPreTokenizer ReadSplit(JsonPart split)
    {
        if (split.Required("behavior").AsString() != "Isolated" || split.Flag("invert"))
            throw split.Error("isn't supported; only \"behavior\": \"Isolated\" with \"invert\": false is");
        var pattern = split.Required("pattern").Required("Regex");
        return new PatternPreTokenizer(Cl100kPattern.TryParse(pattern.AsString()) ?? throw pattern.Error("isn't supported; those of Llama 3 and Qwen 2 are"));
    }

    private static TokenizerParts ReadPostProcessor(JsonPart processor, TokenizerParts parts)
    {
        switch (TypeOf(processor))
        {
            case "Sequence":
                return processor.Required("processors").Items().Aggregate(parts, (sum, step) => ReadPostProcessor(step, sum));
            case "ByteLevel":
                return parts with { OffsetTrimming = ReadOffsetTrimming(processor) ?? parts.OffsetTrimming };
            case "RobertaProcessing":
                return parts with
                {
                    OffsetTrimming = ReadOffsetTrimming(processor),
                    Prefix = [processor.Required("cls").Items().ElementAt(1).AsId()],
                    Suffix = [processor.Required("sep").Items().ElementAt(1).AsId()],
                };
            case "TemplateProcessing":
                return ReadTemplate(processor, parts);
            default:
                throw Unsupported(processor, "\"ByteLevel\", \"RobertaProcessing\", \"TemplateProcessing\" and \"Sequence\" are");
        }
    }

    private static OffsetTrimming? ReadOffsetTrimming(JsonPart processor) =>
        processor.Flag("trim_offsets", otherwise: true) ? new OffsetTrimming(processor.Flag("add_prefix_space", otherwise: true)) : null;

    private static TokenizerParts ReadTemplate(JsonPart template, TokenizerParts parts)
    {
        List<int> prefix = [], suffix = [];
        var into = prefix;
        foreach (var piece in template.Required("single").Items())
        {
            if (piece.Optional("SpecialToken") is { } special)
            {
                var definition = template.Required("special_tokens").Required(special.Required("id").AsString());
                into.AddRange(definition.Required("ids").Items().Select(id => id.AsId()));
            }
            else if (into == prefix)
            {
                piece.Required("Sequence");
                into = suffix;
            }
            else
            {
                throw piece.Error("is a second \"Sequence\"; a template has one");
            }
        }
        return parts with { Prefix = [.. prefix], Suffix = [.. suffix] };
    }
}
