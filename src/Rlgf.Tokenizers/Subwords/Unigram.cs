using System.Runtime.InteropServices;
using System.Text;

namespace Rlgf.Tokenizers.Subwords;

/// <summary>
/// The unigram language model (Kudo 2018): of all ways to cut a word into tokens, the one whose log-probabilities have the greatest sum, by the Viterbi algorithm.
/// </summary>
/// <remarks>A character that no token covers by itself may be unknown, at <see cref="UnknownPenalty"/> below the least token; unknown characters in a row are one token.</remarks>
internal sealed class Unigram : ISubwordModel
{
    /// <summary>Sentencepiece's <c>kUnkPenalty</c>.</summary>
    private const double UnknownPenalty = 10;

    private readonly Dictionary<string, int> _vocabulary;
    private readonly double[] _scores;
    private readonly UnknownToken _unknown;
    private readonly IReadOnlySet<int>? _excluded;
    private readonly double _unknownScore;
    private readonly ByteFallback? _bytes;
    private readonly PieceTrie _trie;
    private readonly WordCache _cache = new();

    /// <summary>Creates the model.</summary>
    /// <param name="pieces">The tokens in the order of their ids, each with its log-probability.</param>
    /// <param name="unknown">The unknown token.</param>
    /// <param name="fallsBackOnBytes">Whether unknown characters are spelled by their bytes where the vocabulary has those.</param>
    public Unigram(IReadOnlyList<(string Piece, double Score)> pieces, UnknownToken unknown, bool fallsBackOnBytes)
    {
        _vocabulary = new(StringComparer.Ordinal);
        for (var id = 0; id < pieces.Count; id++)
            _vocabulary[pieces[id].Piece] = id;
        _scores = [.. pieces.Select(piece => piece.Score)];
        _unknown = unknown;
        _unknownScore = _scores.DefaultIfEmpty().Min() - UnknownPenalty;
        _bytes = fallsBackOnBytes ? new ByteFallback(_vocabulary) : null;
        _trie = new PieceTrie(_vocabulary);
    }

    private Unigram(Unigram model, IReadOnlySet<int> excluded)
    {
        (_vocabulary, _scores, _unknown, _unknownScore, _bytes) = (model._vocabulary, model._scores, model._unknown, model._unknownScore, model._bytes);
        _excluded = model._excluded is null ? excluded : excluded.Union(model._excluded).ToHashSet();
        _trie = new PieceTrie(_vocabulary.Where(entry => !_excluded.Contains(entry.Value)));
    }

    public IReadOnlyDictionary<string, int> Vocabulary => _vocabulary;

    public ISubwordModel Without(IReadOnlySet<int> ids) => new Unigram(this, ids);

    public ReadOnlySpan<WordToken> Tokenize(ReadOnlySpan<char> word, bool continues = false)
    {
        if (_cache.TryGet(word, out var tokens))
            return tokens;
        tokens = BestPath(word);
        _cache.Keep(word, tokens);
        return tokens;
    }

    /// <summary>The best way to the end of a character.</summary>
    private readonly record struct Node(double Score, int Start, int Id);

    private WordToken[] BestPath(ReadOnlySpan<char> word)
    {
        var ends = new Node[word.Length + 1];
        for (var i = 1; i < ends.Length; i++)
            ends[i] = new Node(double.NegativeInfinity, -1, -1);
        for (var start = 0; start < word.Length;)
        {
            Rune.DecodeFromUtf16(word[start..], out _, out var units);
            var here = ends[start].Score;
            var coversCharacter = false;
            var node = PieceTrie.Root;
            for (var end = start; end < word.Length && (node = _trie.Child(node, word[end])) >= 0;)
            {
                end++;
                if (_trie.IdAt(node) is not (>= 0 and var id))
                    continue;
                Offer(ref ends[end], here + _scores[id], start, id);
                coversCharacter |= end - start == units;
            }
            if (!coversCharacter)
                Offer(ref ends[start + units], here + _unknownScore, start, -1);
            start += units;
        }

        var path = new List<WordToken>();
        for (var end = word.Length; end > 0; end = ends[end].Start)
        {
            var node = ends[end];
            var isUnknown = node.Id < 0 || node.Id == _unknown.Id;
            if (isUnknown && path.Count > 0 && path[^1].Id < 0)
                path[^1] = new WordToken(-1, node.Start, path[^1].End);
            else
                path.Add(new WordToken(isUnknown ? -1 : node.Id, node.Start, end));
        }
        path.Reverse();
        return Named(path, word);
    }

    private static void Offer(ref Node node, double score, int start, int id)
    {
        if (node.Start < 0 || score > node.Score)
            node = new Node(score, start, id);
    }

    /// <summary>Gives unknown stretches their tokens.</summary>
    private WordToken[] Named(List<WordToken> path, ReadOnlySpan<char> word)
    {
        if (!path.Exists(token => token.Id < 0))
            return [.. path];
        var tokens = new List<WordToken>(path.Count);
        foreach (var token in CollectionsMarshal.AsSpan(path))
        {
            if (token.Id >= 0)
                tokens.Add(token);
            else if (!AddBytes(word[token.Start..token.End], token, tokens) && _unknown.For(word[token.Start..token.End]) is { } unknown)
                tokens.Add(token with { Id = unknown });
        }
        return [.. tokens];
    }

    private bool AddBytes(ReadOnlySpan<char> characters, WordToken whole, List<WordToken> tokens)
    {
        if (_bytes is null)
            return false;
        var ids = _bytes.Ids(characters);
        foreach (var id in ids)
            tokens.Add(whole with { Id = id });
        return ids.Length > 0;
    }
}
