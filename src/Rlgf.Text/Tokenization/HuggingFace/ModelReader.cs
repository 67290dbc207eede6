using Rlgf.Text.Tokenization.Subwords;

namespace Rlgf.Text.Tokenization.HuggingFace;

/// <summary>Reads the "model" section of <c>tokenizer.json</c>.</summary>
internal static class ModelReader
{
    private const string Supported = "BPE, Unigram and WordPiece are";

    /// <summary>The kind of a model. Older files don't say it: only BPE has merges, and Unigram's vocabulary is an array.</summary>
    public static string KindOf(JsonPart model) =>
        model.Optional("type") is { } type ? type.AsString() : model.Mentions("merges") ? "BPE" : model.Mentions("unk_id") ? "Unigram" : "WordPiece";

    /// <summary>Reads a model.</summary>
    /// <param name="model">The section.</param>
    /// <param name="isByteLevel">Whether words come spelled in bytes.</param>
    public static ISubwordModel Read(JsonPart model, bool isByteLevel)
    {
        var kind = KindOf(model);
        if (isByteLevel && kind is "Unigram" or "WordPiece")
            throw model.Error($"is of type \"{kind}\" after a \"ByteLevel\" pre_tokenizer, which isn't supported; \"BPE\" is");
        return kind switch
        {
            "BPE" => isByteLevel ? ReadByteLevelBpe(model) : ReadCharacterBpe(model),
            "Unigram" => ReadUnigram(model),
            "WordPiece" => ReadWordPiece(model),
            _ => throw TokenizerJson.Unsupported(model, Supported),
        };
    }

    private static ByteLevelBpe ReadByteLevelBpe(JsonPart model)
    {
        RefuseDropout(model);
        foreach (var affix in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (model.Optional(affix) is { } value && value.AsString().Length > 0)
                throw value.Error("isn't supported; byte-level BPE has none");
        }
        if (model.Flag("byte_fallback"))
            throw model.Required("byte_fallback").Error("isn't supported; byte-level BPE has no need of it");

        var vocabulary = BpeVocabulary.ReadVocabulary(model.Required("vocab"));
        var merges = model.Required("merges").Items().Select(ReadMerge).ToList();
        return new ByteLevelBpe(vocabulary, BpeVocabulary.Check(merges, vocabulary), ReadUnknown(model, vocabulary), model.Flag("ignore_merges"));
    }

    private static CharacterBpe ReadCharacterBpe(JsonPart model)
    {
        RefuseDropout(model);
        var vocabulary = BpeVocabulary.ReadVocabulary(model.Required("vocab"));
        var prefix = model.Optional("continuing_subword_prefix")?.AsString() ?? "";
        var merges = model.Required("merges").Items().Select(ReadMerge).ToList();
        return new CharacterBpe(
            vocabulary,
            BpeVocabulary.Check(merges, vocabulary, prefix).Select(merge => (vocabulary[merge.Left], vocabulary[merge.Right], vocabulary[BpeVocabulary.Merged(merge.Left, merge.Right, prefix)])),
            new CharacterBpeOptions
            {
                UnknownId = ReadUnknown(model, vocabulary),
                FusesUnknown = model.Flag("fuse_unk"),
                FallsBackOnBytes = model.Flag("byte_fallback"),
                IgnoresMerges = model.Flag("ignore_merges"),
                ContinuingPrefix = prefix,
                EndSuffix = model.Optional("end_of_word_suffix")?.AsString() ?? "",
            });
    }

    private static Unigram ReadUnigram(JsonPart model)
    {
        var pieces = new List<(string, double)>();
        foreach (var entry in model.Required("vocab").Items())
        {
            var parts = entry.Items().Take(3).ToArray();
            if (parts.Length != 2)
                throw entry.Error("must be a token and its score");
            var score = parts[1].AsNumber();
            pieces.Add((parts[0].AsShortString(), double.IsFinite(score) ? score : throw parts[1].Error("must be a finite number")));
        }
        var unknown = model.Required("unk_id");
        if (unknown.AsId() >= pieces.Count)
            throw unknown.Error($"is {unknown.AsId()}, but the vocabulary has {pieces.Count} tokens");
        return new Unigram(pieces, unknown.AsId(), model.Flag("byte_fallback"));
    }

    private static WordPiece ReadWordPiece(JsonPart model)
    {
        var vocabulary = BpeVocabulary.ReadVocabulary(model.Required("vocab"));
        model.Required("unk_token");
        return new WordPiece(
            vocabulary,
            model.Optional("continuing_subword_prefix")?.AsString() ?? "##",
            ReadUnknown(model, vocabulary)!.Value,
            ReadMaxCharacters(model));
    }

    private static int ReadMaxCharacters(JsonPart model)
    {
        if (model.Optional("max_input_chars_per_word") is not { } most)
            return 100;
        // The work for a word grows with its length squared.
        return most.AsCount() <= 1000 ? most.AsCount() : throw most.Error("must be at most 1000");
    }

    private static int? ReadUnknown(JsonPart model, Dictionary<string, int> vocabulary) =>
        model.Optional("unk_token") is not { } unknown ? null
        : vocabulary.TryGetValue(unknown.AsString(), out var id) ? id
        : throw unknown.Error($"names \"{unknown.AsString()}\", which isn't in the vocabulary");

    private static void RefuseDropout(JsonPart model)
    {
        if (model.Optional("dropout") is { } dropout && dropout.AsNumber() != 0)
            throw dropout.Error("isn't supported; set it to null");
    }

    private static (string Left, string Right, Func<string, InputException> Error) ReadMerge(JsonPart merge)
    {
        // A string in older files, a pair since tokens may contain spaces.
        var parts = merge.IsString ? merge.AsString().Split(' ') : [.. merge.Items().Take(3).Select(part => part.AsString())];
        return parts.Length == 2 ? (parts[0], parts[1], merge.Error) : throw merge.Error("must be a pair of tokens");
    }
}
