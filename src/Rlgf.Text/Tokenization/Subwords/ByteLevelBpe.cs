using System.Collections.Concurrent;
using System.Text;

namespace Rlgf.Text.Tokenization.Subwords;

/// <summary>
/// Byte-level byte pair encoding (Radford et al. 2019, section 2.2; Sennrich et al. 2016): a word's UTF-8 bytes, merged pair by pair, the pair that was
/// learned first before all others.
/// </summary>
/// <remarks>A byte that the vocabulary lacks becomes the unknown token, or nothing where there is none, as in the <c>tokenizers</c> library.</remarks>
internal sealed class ByteLevelBpe : ISubwordModel
{
    /// <summary>Words that are kept with their tokens: most of a text is made of a few thousand words.</summary>
    private const int CacheCapacity = 1 << 16;

    private const int LongestCachedWord = 64;

    private readonly int[] _byteIds = new int[256];
    private readonly Dictionary<(int Left, int Right), Merge> _merges;
    private readonly Dictionary<string, int>? _wholeWords;
    private readonly ConcurrentDictionary<string, WordToken[]> _cache = new();
    private readonly ConcurrentDictionary<string, WordToken[]>.AlternateLookup<ReadOnlySpan<char>> _cached;
    private int _cacheCount;

    /// <summary>Creates the model.</summary>
    /// <param name="vocabulary">Token to id.</param>
    /// <param name="merges">The pairs in the order in which they were learned; both parts and what they make are in the vocabulary.</param>
    /// <param name="unknownId">What stands for a byte that isn't in the vocabulary, if anything does.</param>
    /// <param name="ignoreMerges">Whether a word that is a token as a whole is that token, whatever the merges say.</param>
    public ByteLevelBpe(Dictionary<string, int> vocabulary, IReadOnlyList<(string Left, string Right)> merges, int? unknownId, bool ignoreMerges)
    {
        Vocabulary = vocabulary;
        for (var value = 0; value < 256; value++)
            _byteIds[value] = vocabulary.TryGetValue(ByteAlphabet.CharacterOf((byte)value).ToString(), out var id) ? id : unknownId ?? -1;
        _merges = new(merges.Count);
        for (var rank = 0; rank < merges.Count; rank++)
        {
            var (left, right) = merges[rank];
            _merges[(vocabulary[left], vocabulary[right])] = new Merge(rank, vocabulary[left + right]);
        }
        _wholeWords = ignoreMerges ? vocabulary : null;
        _cached = _cache.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    private readonly record struct Merge(int Rank, int Id);

    public IReadOnlyDictionary<string, int> Vocabulary { get; }

    public ReadOnlySpan<WordToken> Tokenize(ReadOnlySpan<char> word)
    {
        if (_cached.TryGetValue(word, out var tokens))
            return tokens;
        tokens = MergeBytes(word);
        if (word.Length <= LongestCachedWord && Volatile.Read(ref _cacheCount) < CacheCapacity && _cached.TryAdd(word, tokens))
            Interlocked.Increment(ref _cacheCount);
        return tokens;
    }

    private WordToken[] MergeBytes(ReadOnlySpan<char> word)
    {
        if (_wholeWords is not null && _wholeWords.TryGetValue(ByteAlphabet.Spell(word), out var whole))
            return [new WordToken(whole, 0, word.Length)];

        var symbols = Symbols(word);
        var candidates = new PriorityQueue<Candidate, long>();
        for (var left = 0; left + 1 < symbols.Length; left++)
            AddCandidate(left, left + 1);

        while (candidates.TryDequeue(out var candidate, out _))
        {
            ref var left = ref symbols[candidate.Left];
            // Stale where a neighbour was merged since.
            if (left.Id != candidate.LeftId || left.Next != candidate.Right || symbols[candidate.Right].Id != candidate.RightId)
                continue;
            ref var right = ref symbols[candidate.Right];
            left.Id = candidate.MergedId;
            left.End = right.End;
            left.Next = right.Next;
            right.Id = Symbol.Gone;
            if (left.Next < symbols.Length)
            {
                symbols[left.Next].Previous = candidate.Left;
                AddCandidate(candidate.Left, left.Next);
            }
            if (left.Previous >= 0)
                AddCandidate(left.Previous, candidate.Left);
        }

        var count = 0;
        for (var at = 0; at < symbols.Length; at = symbols[at].Next)
            count++;
        var tokens = new WordToken[count];
        var to = 0;
        for (var at = 0; at < symbols.Length; at = symbols[at].Next)
            tokens[to++] = new WordToken(symbols[at].Id, symbols[at].Start, symbols[at].End);
        return tokens;

        void AddCandidate(int left, int right)
        {
            var (leftId, rightId) = (symbols[left].Id, symbols[right].Id);
            if (_merges.TryGetValue((leftId, rightId), out var merge))
                candidates.Enqueue(new Candidate(left, leftId, right, rightId, merge.Id), ((long)merge.Rank << 32) | (uint)left);
        }
    }

    /// <summary>One symbol per byte, with the characters it belongs to.</summary>
    private Symbol[] Symbols(ReadOnlySpan<char> word)
    {
        var symbols = new List<Symbol>(word.Length);
        Span<byte> bytes = stackalloc byte[4];
        var start = 0;
        while (start < word.Length)
        {
            // A lone surrogate comes out as U+FFFD, which is what it counts as.
            Rune.DecodeFromUtf16(word[start..], out var rune, out var units);
            var length = rune.EncodeToUtf8(bytes);
            foreach (var value in bytes[..length])
            {
                if (_byteIds[value] >= 0)
                    symbols.Add(new Symbol { Id = _byteIds[value], Start = start, End = start + units, Previous = symbols.Count - 1, Next = symbols.Count + 1 });
            }
            start += units;
        }
        return [.. symbols];
    }

    private struct Symbol
    {
        /// <summary>Id of a symbol that went into the one on its left.</summary>
        public const int Gone = -1;

        public int Id, Start, End, Previous, Next;
    }

    private readonly record struct Candidate(int Left, int LeftId, int Right, int RightId, int MergedId);
}
