using Rlgf.Base;
using Rlgf.Tokenizers.Subwords;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>Reads the "model" section of <c>tokenizer.json</c>.</summary>
internal static class ModelReader
{
    private const string Supported = "BPE, Unigram, WordPiece and WordLevel are";

    /// <summary>The kind of a model. Older files don't say it: only BPE has merges, Unigram's vocabulary is an array, and only WordPiece limits a word's length.</summary>
    public static string KindOf(JsonPart model) =>
        model.Optional("type") is { } type ? type.AsString()
        : model.Mentions("merges") ? "BPE"
        : model.Mentions("unk_id") || model.Optional("vocab") is { IsObject: false } ? "Unigram"
        : model.Mentions("max_input_chars_per_word") || model.Mentions("continuing_subword_prefix") ? "WordPiece"
        : "WordLevel";

    /// <summary>Reads a model.</summary>
    /// <param name="model">The section.</param>
    /// <param name="inBytes">Whether words are to be spelled in bytes.</param>
    /// <returns>The model, and whether it does that itself; otherwise it must be given them so.</returns>
    public static (ISubwordModel Model, bool SpellsBytes) Read(JsonPart model, bool inBytes)
    {
        switch (KindOf(model))
        {
            case "BPE":
                RefuseDropout(model);
                var vocabulary = BpeVocabulary.ReadVocabulary(model.Required("vocab"));
                var options = ReadBpeOptions(model, vocabulary);
                var merges = model.Required("merges").Items().Select(ReadMerge).ToList();
                var pairs = BpeVocabulary.Check(merges, vocabulary, options.ContinuingPrefix);
                return inBytes && IsPlain(options, vocabulary) ? (new ByteLevelBpe(vocabulary, pairs, options.Unknown.Id, options.IgnoresMerges), true) : (new CharacterBpe(
                    vocabulary,
                    pairs.Select(merge => (vocabulary[merge.Left], vocabulary[merge.Right], vocabulary[BpeVocabulary.Merged(merge.Left, merge.Right, options.ContinuingPrefix)])),
                    options), false);
            case "Unigram":
                return (ReadUnigram(model), false);
            case "WordPiece":
                return (ReadWordPiece(model), false);
            case "WordLevel":
                return (ReadWordLevel(model), false);
            default:
                throw TokenizerJson.Unsupported(model, Supported);
        }
    }

    private static CharacterBpeOptions ReadBpeOptions(JsonPart model, Dictionary<string, int> vocabulary) => new()
    {
        Unknown = ReadUnknown(model, vocabulary, isLeftOut: true),
        FusesUnknown = model.Flag("fuse_unk"),
        FallsBackOnBytes = model.Flag("byte_fallback"),
        IgnoresMerges = model.Flag("ignore_merges"),
        ContinuingPrefix = model.Optional("continuing_subword_prefix")?.AsShortString() ?? "",
        EndSuffix = model.Optional("end_of_word_suffix")?.AsShortString() ?? "",
    };

    /// <summary>Whether a byte is a token by itself wherever it stands, or else what is unknown: then it need not be looked up as a character.</summary>
    private static bool IsPlain(CharacterBpeOptions options, Dictionary<string, int> vocabulary)
    {
        if (options.ContinuingPrefix.Length > 0 || options.EndSuffix.Length > 0)
            return false;
        return Enumerable.Range(0, 256).All(value => vocabulary.ContainsKey(ByteAlphabet.CharacterOf((byte)value).ToString()))
            || (!options.FallsBackOnBytes && !options.FusesUnknown && options.Unknown.Missing is null);
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
        if (pieces.Count == 0)
            throw model.Required("vocab").Error("has no tokens");
        var unknown = model.Optional("unk_id");
        if (unknown?.AsId() >= pieces.Count)
            throw unknown.Value.Error($"is {unknown.Value.AsId()}, but the vocabulary has {pieces.Count} tokens");
        return new Unigram(pieces, new UnknownToken(unknown?.AsId(), "model.unk_id of its tokenizer.json is null"), model.Flag("byte_fallback"));
    }

    private static WordPiece ReadWordPiece(JsonPart model)
    {
        var vocabulary = BpeVocabulary.ReadVocabulary(model.Required("vocab"));
        model.Required("unk_token");
        return new WordPiece(vocabulary, model.Optional("continuing_subword_prefix")?.AsString() ?? "##", ReadUnknown(model, vocabulary, isLeftOut: false), ReadMaxCharacters(model));
    }

    private static WordLevel ReadWordLevel(JsonPart model)
    {
        var vocabulary = BpeVocabulary.ReadVocabulary(model.Required("vocab"));
        model.Required("unk_token");
        return new WordLevel(vocabulary, ReadUnknown(model, vocabulary, isLeftOut: false));
    }

    private static int ReadMaxCharacters(JsonPart model)
    {
        if (model.Optional("max_input_chars_per_word") is not { } most)
            return 100;
        // The work for a word grows with its length squared.
        return most.AsCount() <= 1000 ? most.AsCount() : throw most.Error("must be at most 1000");
    }

    /// <summary>The unknown token. The library writes files whose vocabulary lacks it; then it is an error once it is needed.</summary>
    private static UnknownToken ReadUnknown(JsonPart model, Dictionary<string, int> vocabulary, bool isLeftOut) =>
        model.Optional("unk_token") is not { } unknown ? new(null, isLeftOut ? null : "model.unk_token of its tokenizer.json is null")
        : vocabulary.TryGetValue(unknown.AsString(), out var id) ? new(id, null)
        : new(null, $"model.unk_token of its tokenizer.json, \"{unknown.AsString()}\", isn't in it");

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
