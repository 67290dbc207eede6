using Rlgf.Base;

namespace Rlgf.Tokenizers.Parts;

/// <summary>
/// A tokenizer's files as they were read or made, so that saving writes them unchanged, with what this library doesn't use (chat templates, say); but for <c>tokenizer_config.json</c>, which is written so that older readers understand it.
/// </summary>
internal sealed class TokenizerFiles
{
    public const string Tokenizer = "tokenizer.json";
    public const string Vocabulary = "vocab.json";
    public const string Merges = "merges.txt";
    public const string SentencePieces = "spiece.model";
    public const string OtherSentencePieces = "tokenizer.model";
    public const string WordList = "vocab.txt";

    /// <summary>Sentencepiece models of classes that aren't read from them (DeBERTa v3's, XLM-RoBERTa's): known so that they can be said to be.</summary>
    public static readonly string[] UnreadSentencePieces = ["spm.model", "sentencepiece.bpe.model"];

    public const string Configuration = "tokenizer_config.json";
    public const string SpecialTokens = "special_tokens_map.json";
    public const string AddedTokens = "added_tokens.json";
    public const string ChatTemplate = "chat_template.jinja";

    /// <summary>All of them.</summary>
    public static readonly string[] Names = [Tokenizer, Vocabulary, Merges, SentencePieces, OtherSentencePieces, WordList, Configuration, SpecialTokens, AddedTokens, ChatTemplate, .. UnreadSentencePieces];

    /// <summary>The files of which a tokenizer has one at least.</summary>
    public static readonly string[] Vocabularies = [Tokenizer, Vocabulary, SentencePieces, OtherSentencePieces, WordList, .. UnreadSentencePieces];

    private readonly string _source;
    private readonly Dictionary<string, byte[]> _contents;

    private TokenizerFiles(string source, Dictionary<string, byte[]> contents)
    {
        _source = source;
        _contents = contents;
    }

    /// <summary>Files that aren't on disk yet; errors in them name <paramref name="source"/>.</summary>
    public static TokenizerFiles InMemory(string source, Dictionary<string, byte[]> contents) => new(source, contents);

    /// <summary>Reads what a folder has of a tokenizer's files.</summary>
    public static TokenizerFiles Read(string folder) => Read(folder, Names);

    /// <summary>Reads what a folder has of some files.</summary>
    public static TokenizerFiles Read(string folder, IEnumerable<string> names)
    {
        if (!Directory.Exists(folder))
            throw MissingFolder.Fault(folder, $"a tokenizer is read from the folder that holds its {Tokenizer}, or its vocabulary");
        var contents = new Dictionary<string, byte[]>();
        foreach (var name in names)
        {
            var path = Path.Combine(folder, name);
            if (!File.Exists(path))
                continue;
            try
            {
                contents.Add(name, RegularFile.ReadBytes(path));
                if (ForeignContent.Describe(contents[name]) is { } foreign) throw new InputException($"{path}: {foreign}.");
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new InputException($"{path}: can't be read: {error.Message}", error);
            }
        }
        return new TokenizerFiles(folder, contents);
    }

    public bool Has(string name) => _contents.ContainsKey(name);

    /// <summary>How messages call a file.</summary>
    public string PathOf(string name) => Path.Combine(_source, name);

    public byte[] this[string name] => _contents[name];

    /// <summary>Writes the files into a folder that exists.</summary>
    public void Save(string folder)
    {
        if (!Directory.Exists(folder))
            throw MissingFolder.Fault(folder, "make it before saving a tokenizer there");
        foreach (var (name, content) in _contents)
        {
            var path = Path.Combine(folder, name);
            try
            {
                var written = name == Configuration ? OlderTokenizerConfiguration.Of(content) : content;
                AtomicFile.Write(path, stream => stream.Write(written));
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new InputException($"{path}: can't be written: {error.Message}", error);
            }
        }
    }
}
