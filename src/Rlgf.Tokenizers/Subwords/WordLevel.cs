namespace Rlgf.Tokenizers.Subwords;

/// <summary>Whole words: each is one token.</summary>
/// <param name="vocabulary">Token to id.</param>
/// <param name="unknown">What stands for other words.</param>
/// <param name="excluded">Tokens that are never given.</param>
internal sealed class WordLevel(Dictionary<string, int> vocabulary, UnknownToken unknown, IReadOnlySet<int>? excluded = null) : ISubwordModel
{
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _lookup = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();

    public IReadOnlyDictionary<string, int> Vocabulary => vocabulary;

    public ISubwordModel Without(IReadOnlySet<int> ids) => new WordLevel(vocabulary, unknown, ids.Where(id => id != unknown.Id).ToHashSet());

    public ReadOnlySpan<WordToken> Tokenize(ReadOnlySpan<char> word, bool continues = false)
    {
        var id = _lookup.TryGetValue(word, out var known) && excluded?.Contains(known) != true ? known : unknown.For(word);
        return id is { } token ? new WordToken[] { new(token, 0, word.Length) } : [];
    }
}
