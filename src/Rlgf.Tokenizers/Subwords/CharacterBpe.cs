using System.Text;
using Rlgf.Base;

namespace Rlgf.Tokenizers.Subwords;

/// <summary>How a vocabulary of byte pair encoding over characters spells words.</summary>
internal sealed record CharacterBpeOptions
{
    /// <summary>What stands for a character that is neither in the vocabulary nor spelled by bytes.</summary>
    public UnknownToken Unknown { get; init; }

    /// <summary>Whether unknown characters in a row are one token.</summary>
    public bool FusesUnknown { get; init; }

    /// <summary>Whether a character that isn't in the vocabulary is spelled by its bytes.</summary>
    public bool FallsBackOnBytes { get; init; }

    /// <summary>Whether a word that is a token as a whole is that token, whatever the merges say.</summary>
    public bool IgnoresMerges { get; init; }

    /// <summary>What spells a character that isn't the first of its word, before it.</summary>
    public string ContinuingPrefix { get; init; } = "";

    /// <summary>What spells the last character of a word, after it.</summary>
    public string EndSuffix { get; init; } = "";
}

/// <summary>
/// Byte pair encoding over characters (Sennrich et al. 2016), as sentencepiece's vocabularies of that kind work in the <c>tokenizers</c> library; a character
/// that the vocabulary lacks becomes bytes or the unknown token.
/// </summary>
internal sealed class CharacterBpe : ISubwordModel
{
    private readonly Dictionary<string, int> _vocabulary;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private readonly BpeMerges _merges;
    private readonly CharacterBpeOptions _options;
    private readonly ByteFallback? _bytes;
    private readonly IReadOnlySet<int>? _excluded;
    private readonly WordCache _cache = new();

    /// <summary>Creates the model.</summary>
    /// <param name="vocabulary">Token to id.</param>
    /// <param name="merges">Ids of the pairs and of what they make, in the order in which they were learned.</param>
    /// <param name="options">How words are spelled.</param>
    public CharacterBpe(Dictionary<string, int> vocabulary, IEnumerable<(int Left, int Right, int Merged)> merges, CharacterBpeOptions options)
        : this(vocabulary, new BpeMerges(merges), options, excluded: null)
    {
    }

    private CharacterBpe(Dictionary<string, int> vocabulary, BpeMerges merges, CharacterBpeOptions options, IReadOnlySet<int>? excluded)
    {
        (_vocabulary, _merges, _options, _excluded) = (vocabulary, merges, options, excluded);
        _lookup = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        _bytes = options.FallsBackOnBytes ? new ByteFallback(vocabulary) : null;
    }

    public IReadOnlyDictionary<string, int> Vocabulary => _vocabulary;

    public ISubwordModel Without(IReadOnlySet<int> ids) => new CharacterBpe(_vocabulary, _merges.Without(ids), _options, _excluded is null ? ids : ids.Union(_excluded).ToHashSet());

    public ReadOnlySpan<WordToken> Tokenize(ReadOnlySpan<char> word, bool continues = false)
    {
        if (!continues && _cache.TryGet(word, out var tokens))
            return tokens;
        tokens = _options.IgnoresMerges && _lookup.TryGetValue(word, out var whole) && _excluded?.Contains(whole) != true
            ? [new WordToken(whole, 0, word.Length)]
            : _merges.Apply(Symbols(word, continues));
        if (!continues)
            _cache.Keep(word, tokens);
        return tokens;
    }

    private Symbol[] Symbols(ReadOnlySpan<char> word, bool continues)
    {
        var symbols = new List<Symbol>(word.Length);
        var unknown = (Start: -1, End: 0);
        int? unknownId = null;
        for (var start = 0; start < word.Length;)
        {
            Rune.DecodeFromUtf16(word[start..], out _, out var units);
            var end = start + units;
            var (isFirst, isLast) = (start == 0 && !continues, end == word.Length);
            if (IdOf(word[start..end], isFirst, isLast) is { } id)
            {
                Flush();
                Symbol.Add(symbols, id, start, end);
            }
            else if (_bytes?.Ids(Spelling(word[start..end], isFirst, isLast)) is { Length: > 0 } bytes)
            {
                foreach (var value in bytes)
                    Symbol.Add(symbols, value, start, end);
            }
            else if (_options.FusesUnknown && unknown.Start >= 0)
            {
                unknown.End = end;
            }
            else
            {
                Flush();
                unknown = (start, end);
                unknownId = _options.Unknown.For(word[start..end]);
            }
            start = end;
        }
        Flush();
        return [.. symbols];

        void Flush()
        {
            if (unknown.Start >= 0 && unknownId is { } id)
                Symbol.Add(symbols, id, unknown.Start, unknown.End);
            unknown.Start = -1;
        }
    }

    private int? IdOf(ReadOnlySpan<char> character, bool isFirst, bool isLast)
    {
        var found = _lookup.TryGetValue(Spelling(character, isFirst, isLast), out var id);
        return found && _excluded?.Contains(id) != true ? id : null;
    }

    /// <summary>A character with what marks its place in the word.</summary>
    private ReadOnlySpan<char> Spelling(ReadOnlySpan<char> character, bool isFirst, bool isLast) =>
        (isFirst || _options.ContinuingPrefix.Length == 0) && (!isLast || _options.EndSuffix.Length == 0)
            ? character
            : string.Concat(isFirst ? "" : _options.ContinuingPrefix, character, isLast ? _options.EndSuffix : "");
}
