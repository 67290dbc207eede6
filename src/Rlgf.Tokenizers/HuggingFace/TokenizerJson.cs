using Rlgf.Base;
using Rlgf.Tokenizers.Parts;
using Rlgf.Tokenizers.Subwords;
using Rlgf.Tokenizers.Words;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>Reads <c>tokenizer.json</c>, the format of the <c>tokenizers</c> library: one component per section, each named by its "type".</summary>
internal static class TokenizerJson
{
    /// <summary>The one version of the format that there is.</summary>
    private const string Version = "1.0";

    /// <summary>Reads the whole pipeline, with the added tokens of the files beside it.</summary>
    public static TokenizerParts Read(TokenizerFiles files, TokenizerConfiguration configuration)
    {
        var root = JsonPart.Parse(files.PathOf(TokenizerFiles.Tokenizer), files[TokenizerFiles.Tokenizer]);
        if (root.Optional("version") is { } version && version.AsString() != Version)
            throw version.Error($"is \"{version.AsString()}\", which isn't known; \"{Version}\" is");
        var section = root.Required("model");
        var (words, endInBytes) = PreTokenizerReader.Read(root.Optional("pre_tokenizer"), configuration.Flag("add_prefix_space"));
        var (model, spellsBytes) = ModelReader.Read(section, endInBytes);
        var added = new AddedVocabulary(files, configuration, TokenizerFiles.Tokenizer, model.Vocabulary, SizeOf(section, model), _ => null);
        foreach (var token in root.Optional("added_tokens")?.Items() ?? [])
            added.AddOwn(ReadAddedToken(token, token.Required("id").AsId()), token);
        var parts = new TokenizerParts
        {
            Model = model,
            AddedTokens = added.AddAll(),
            Normalizer = root.Optional("normalizer") is { } normalizer ? NormalizerReader.Read(normalizer) : null,
            PreTokenizer = new PreTokenizerSequence(endInBytes && !spellsBytes ? [.. words, new ByteSpelling()] : words),
            DecoderSteps = DecoderReader.Read(root.Optional("decoder")),
            // It does nothing for BPE.
            CleansUp = configuration.CleansUp && ModelReader.KindOf(section) != "BPE",
            Truncation = root.Optional("truncation") is { } truncation ? ReadTruncation(truncation) : new(),
            PadId = root.Optional("padding")?.Optional("pad_id")?.AsId(),
        };
        if (root.Optional("post_processor") is not { } processor)
            return parts;
        parts = PostProcessorReader.Read(processor, parts);
        RequireTokens(processor, parts);
        return parts;
    }

    /// <summary>Reads an entry of "added_tokens", also of the same form in <c>tokenizer_config.json</c>.</summary>
    public static AddedToken ReadAddedToken(JsonPart token, int id) => new(
        id,
        token.Required("content").AsString(),
        IsSpecial: token.Flag("special"),
        IsNormalized: token.Flag("normalized", otherwise: !token.Flag("special")),
        IsSingleWord: token.Flag("single_word"),
        TakesSpaceBefore: token.Flag("lstrip"),
        TakesSpaceAfter: token.Flag("rstrip"));

    /// <summary>The type of a component.</summary>
    public static string TypeOf(JsonPart component) => component.Required("type").AsString();

    /// <summary>The error for a component of a type that isn't known.</summary>
    public static InputException Unsupported(JsonPart component, string supported) =>
        component.Error($"is of type \"{TypeOf(component)}\", which isn't supported; {supported}");

    /// <summary>How many tokens the model has by itself: of an array also those that are there twice.</summary>
    private static int SizeOf(JsonPart section, ISubwordModel model) => section.Required("vocab").IsObject ? model.Vocabulary.Count : section.Required("vocab").Items().Count();

    private static Truncation ReadTruncation(JsonPart truncation) => new(
        truncation.Optional("strategy") is not { } strategy ? TruncatedText.Longest : strategy.AsString() switch
        {
            "LongestFirst" => TruncatedText.Longest,
            "OnlyFirst" => TruncatedText.First,
            "OnlySecond" => TruncatedText.Second,
            var other => throw strategy.Error($"is \"{other}\"; it must be \"LongestFirst\", \"OnlyFirst\" or \"OnlySecond\""),
        },
        truncation.Optional("direction") is { } direction && direction.AsString() switch
        {
            "Left" => true,
            "Right" => false,
            var other => throw direction.Error($"is \"{other}\"; it must be \"Left\" or \"Right\""),
        });

    /// <summary>What is put around texts must be tokens, or a model would be given ids that it has no embedding for.</summary>
    private static void RequireTokens(JsonPart processor, TokenizerParts parts)
    {
        var known = parts.Model.Vocabulary.Values.Concat(parts.AddedTokens.Select(token => token.Id)).ToHashSet();
        foreach (var id in parts.Single.Parts.Concat(parts.Pair.Parts).SelectMany(part => part.Ids ?? []))
        {
            if (!known.Contains(id))
                throw processor.Error($"adds id {id}, which no token has");
        }
    }
}
