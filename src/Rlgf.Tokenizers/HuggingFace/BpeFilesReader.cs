using Rlgf.Tokenizers.Normalization;
using Rlgf.Tokenizers.Parts;
using Rlgf.Tokenizers.Subwords;
using Rlgf.Tokenizers.Words;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>Makes a byte-level tokenizer of <c>vocab.json</c> and <c>merges.txt</c>, as GPT-2, RoBERTa, BART and Qwen 2 have them.</summary>
internal static class BpeFilesReader
{
    /// <summary>GPT-2's token for the beginning and the end of a text, which its older folders don't mention.</summary>
    private const string EndOfText = "<|endoftext|>";

    private static readonly Dictionary<string, string> Gpt2Roles = new() { ["bos_token"] = EndOfText, ["eos_token"] = EndOfText, ["unk_token"] = EndOfText };

    private static readonly Dictionary<string, string> Qwen2Roles = new() { ["eos_token"] = EndOfText, ["pad_token"] = EndOfText };

    private static readonly Dictionary<string, string> RobertaRoles = new()
    {
        ["bos_token"] = "<s>", ["eos_token"] = "</s>", ["unk_token"] = "<unk>", ["sep_token"] = "</s>", ["pad_token"] = "<pad>", ["cls_token"] = "<s>", ["mask_token"] = "<mask>",
    };

    /// <summary>The tokens that have a role where no file says; which they are depends on the class that wrote the folder.</summary>
    public static IReadOnlyDictionary<string, string> RolesOf(TokenizerConfiguration configuration) => configuration.ClassName switch
    {
        null or "GPT2Tokenizer" => Gpt2Roles,
        "RobertaTokenizer" or "BartTokenizer" => RobertaRoles,
        "Qwen2Tokenizer" => Qwen2Roles,
        _ => throw configuration.UnsupportedClass($"{TokenizerFiles.Vocabulary} with {TokenizerFiles.Merges}"),
    };

    /// <summary>Reads the folder's files.</summary>
    public static TokenizerParts Read(TokenizerFiles files, TokenizerConfiguration configuration)
    {
        var defaults = RolesOf(configuration);
        var vocabulary = BpeVocabulary.ReadVocabulary(JsonPart.Parse(files.PathOf(TokenizerFiles.Vocabulary), files[TokenizerFiles.Vocabulary]));
        var merges = BpeVocabulary.Check(BpeVocabulary.ReadMerges(files.PathOf(TokenizerFiles.Merges), files[TokenizerFiles.Merges]), vocabulary);
        var added = AddedTokens(files, configuration, vocabulary, defaults);
        var isQwen = configuration.ClassName == "Qwen2Tokenizer";
        IPreTokenizer words = new PatternPreTokenizer(isQwen ? new Cl100kPattern(maxDigits: 1) : new Gpt2Pattern());
        var parts = new TokenizerParts
        {
            AddedTokens = added,
            Normalizer = isQwen ? new UnicodeNormalizer(UnicodeForm.C) : null,
            PreTokenizer = configuration.Flag("add_prefix_space") ?? false ? new PreTokenizerSequence([new PrefixSpace(), words]) : words,
            Model = new ByteLevelBpe(vocabulary, merges, unknownId: null, ignoreMerges: false),
        };
        if (defaults == RobertaRoles)
            return AroundAsRoberta(parts, configuration);
        return configuration.Flag("add_bos_token") == true && configuration.TokenOf("bos_token", defaults.GetValueOrDefault("bos_token")) is { } bos
            ? parts with { Single = new([PostProcessorReader.Special([added.First(token => token.Content == bos).Id], 0), PostProcessorReader.Text(0)]) }
            : parts;
    }

    private static TokenizerParts AroundAsRoberta(TokenizerParts parts, TokenizerConfiguration configuration)
    {
        var start = Id("cls_token");
        var end = Id("sep_token");
        return parts with
        {
            OffsetTrimming = new OffsetTrimming(configuration.Flag("add_prefix_space") ?? false),
            Single = new([PostProcessorReader.Special([start], 0), PostProcessorReader.Text(0), PostProcessorReader.Special([end], 0)]),
            Pair = new(
            [
                PostProcessorReader.Special([start], 0), PostProcessorReader.Text(0), PostProcessorReader.Special([end, end], 0),
                PostProcessorReader.Text(0, isSecond: true), PostProcessorReader.Special([end], 0),
            ]),
        };

        int Id(string role)
        {
            var token = configuration.TokenOf(role, RobertaRoles[role]);
            return parts.AddedTokens.First(added => added.Content == token).Id;
        }
    }

    private static IReadOnlyList<AddedToken> AddedTokens(
        TokenizerFiles files, TokenizerConfiguration configuration, Dictionary<string, int> vocabulary, IReadOnlyDictionary<string, string> defaults)
    {
        var added = new AddedVocabulary(files, configuration, TokenizerFiles.Vocabulary, vocabulary, vocabulary.Count, defaults.GetValueOrDefault);
        added.AddListed();
        foreach (var role in defaults == Qwen2Roles ? configuration.Roles : [])
        {
            if (configuration.TokenOf(role, defaults.GetValueOrDefault(role)) is { } content && added.IdOf(content) is null)
                throw configuration.UnlistedToken(role, content);
        }
        added.AddSpecial();
        return added.Tokens;
    }
}
