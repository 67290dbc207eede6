using System.Text;
using Rlgf.Base;
using Rlgf.Tokenizers.Decoding;
using Rlgf.Tokenizers.Normalization;
using Rlgf.Tokenizers.Parts;
using Rlgf.Tokenizers.Subwords;
using Rlgf.Tokenizers.Words;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>Makes a tokenizer of BERT's <c>vocab.txt</c>: a token to a line, its number the id.</summary>
internal static class BertReader
{
    private const string Prefix = "##";
    private const int MaxCharacters = 100;

    private static readonly string[] Classes = ["BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer"];

    private static readonly (string Role, string Token)[] Roles =
        [("unk_token", "[UNK]"), ("sep_token", "[SEP]"), ("pad_token", "[PAD]"), ("cls_token", "[CLS]"), ("mask_token", "[MASK]")];

    /// <summary>The token that has a role where no file says; null where none has.</summary>
    public static string? TokenOf(string role) => Roles.FirstOrDefault(known => known.Role == role).Token;

    /// <summary>Reads the folder's vocabulary.</summary>
    public static TokenizerParts Read(TokenizerFiles files, TokenizerConfiguration configuration)
    {
        if (configuration.ClassName is { } named && !Classes.Contains(named))
            throw configuration.UnsupportedClass(TokenizerFiles.WordList);
        var file = files.PathOf(TokenizerFiles.WordList);
        var vocabulary = ReadVocabulary(file, files[TokenizerFiles.WordList]);
        var tokens = Roles.ToDictionary(role => role.Role, role => configuration.TokenOf(role.Role, role.Token));
        int IdOf(string role) => tokens[role] is { } token && vocabulary.TryGetValue(token, out var id)
            ? id
            : throw new InputException($"{file}: lacks \"{tokens[role]}\", the {role} of the tokenizer.");

        var added = new AddedVocabulary(files, configuration, TokenizerFiles.WordList, vocabulary, vocabulary.Count, TokenOf);
        var lowercases = configuration.Flag("do_lower_case") ?? true;
        int[] start = [IdOf("cls_token")], end = [IdOf("sep_token")];
        return new TokenizerParts
        {
            AddedTokens = added.AddAll(),
            Normalizer = new BertNormalizer(
                cleansText: true,
                spacesChinese: configuration.Flag("tokenize_chinese_chars") ?? true,
                stripsAccents: configuration.Flag("strip_accents") ?? lowercases,
                lowercases),
            PreTokenizer = new PreTokenizerSequence([CharacterPreTokenizer.WhiteSpace(), CharacterPreTokenizer.Punctuation(SplitBehavior.Isolated)]),
            Model = new WordPiece(vocabulary, Prefix, new UnknownToken(IdOf("unk_token"), null), MaxCharacters),
            Single = new([PostProcessorReader.Special(start, 0), PostProcessorReader.Text(0), PostProcessorReader.Special(end, 0)]),
            Pair = new([PostProcessorReader.Special(start, 0), PostProcessorReader.Text(0), PostProcessorReader.Special(end, 0), PostProcessorReader.Text(1, isSecond: true), PostProcessorReader.Special(end, 1)]),
            DecoderSteps = [new WordPieceStep(Prefix, cleansUp: true)],
            CleansUp = configuration.CleansUp,
        };
    }

    private static Dictionary<string, int> ReadVocabulary(string file, byte[] content)
    {
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        using var reader = new StreamReader(new MemoryStream(content), Encoding.UTF8);
        for (var id = 0; reader.ReadLine() is { } line; id++)
            vocabulary[line] = id;
        return vocabulary.Count > 0 ? vocabulary : throw new InputException($"{file}: has no tokens.");
    }
}
