using System.Buffers;
using System.Text;

namespace Rlgf.Tokenizers.Subwords;

/// <summary>WordPiece (Schuster and Nakajima 2012; Devlin et al. 2019): the longest token that begins the word, then the longest that goes on from there, and so forth.</summary>
internal sealed class WordPiece : ISubwordModel
{
    private readonly Dictionary<string, int> _vocabulary;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _beginning;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _continuing;
    private readonly int _longest;
    private readonly string _prefix;
    private readonly UnknownToken _unknown;
    private readonly int _maxCharacters;
    private readonly IReadOnlySet<int>? _excluded;

    /// <summary>Creates the model.</summary>
    /// <param name="vocabulary">Token to id.</param>
    /// <param name="prefix">What begins a token that goes on within a word.</param>
    /// <param name="unknown">The token of a word that can't be spelled.</param>
    /// <param name="maxCharacters">Longer words are unknown.</param>
    public WordPiece(Dictionary<string, int> vocabulary, string prefix, UnknownToken unknown, int maxCharacters)
        : this(vocabulary, prefix, unknown, maxCharacters, excluded: null)
    {
    }

    private WordPiece(Dictionary<string, int> vocabulary, string prefix, UnknownToken unknown, int maxCharacters, IReadOnlySet<int>? excluded)
    {
        (_vocabulary, _prefix, _unknown, _maxCharacters, _excluded) = (vocabulary, prefix, unknown, maxCharacters, excluded);
        _beginning = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        // Without their prefix, so that a stretch of the word can be looked up as it is.
        var continuing = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (token, id) in vocabulary)
        {
            _longest = Math.Max(_longest, token.Length);
            if (token.StartsWith(prefix, StringComparison.Ordinal))
                continuing[token[prefix.Length..]] = id;
        }
        _continuing = continuing.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    public IReadOnlyDictionary<string, int> Vocabulary => _vocabulary;

    public ISubwordModel Without(IReadOnlySet<int> ids) =>
        new WordPiece(_vocabulary, _prefix, _unknown, _maxCharacters, ids.Where(id => id != _unknown.Id).ToHashSet());

    public ReadOnlySpan<WordToken> Tokenize(ReadOnlySpan<char> word, bool continues = false)
    {
        if (IsTooLong(word))
            return Unknown(word);
        var tokens = new List<WordToken>();
        // A word that was begun is spelled as its rest; where that can't be, and for punctuation, it stands by itself.
        if (continues && Rune.DecodeFromUtf16(word, out var first, out _) == OperationStatus.Done && Rune.IsLetterOrDigit(first) && Spell(word, _continuing, tokens))
            return tokens.ToArray();
        tokens.Clear();
        return Spell(word, _beginning, tokens) ? tokens.ToArray() : Unknown(word);
    }

    private WordToken[] Unknown(ReadOnlySpan<char> word) => _unknown.For(word) is { } id ? [new WordToken(id, 0, word.Length)] : [];

    private bool Spell(ReadOnlySpan<char> word, Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> first, List<WordToken> tokens)
    {
        var pieces = first;
        for (var start = 0; start < word.Length; pieces = _continuing)
        {
            var end = Math.Min(word.Length, start + _longest);
            var id = 0;
            while (end > start && !IsToken(pieces, word[start..end], out id))
                end--;
            if (end == start)
                return false;
            tokens.Add(new WordToken(id, start, end));
            start = end;
        }
        return true;
    }

    private bool IsToken(Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> pieces, ReadOnlySpan<char> piece, out int id) =>
        pieces.TryGetValue(piece, out id) && _excluded?.Contains(id) != true;

    private bool IsTooLong(ReadOnlySpan<char> word)
    {
        if (word.Length <= _maxCharacters)
            return false;
        var characters = 0;
        foreach (var _ in word.EnumerateRunes())
            characters++;
        return characters > _maxCharacters;
    }
}
