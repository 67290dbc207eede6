using System.Runtime.InteropServices;

namespace Rlgf.Tokenizers.Training;

/// <summary>
/// The words as symbols, and how often each pair of neighbours occurs in them. A merge updates only the words that have its pair, so a step costs what it
/// changes and not what the corpus is long.
/// </summary>
internal sealed class PairCounts
{
    private readonly List<(int[] Symbols, long Count)> _words = [];
    private readonly Dictionary<(int Left, int Right), long> _counts = [];
    private readonly Dictionary<(int Left, int Right), List<int>> _wordsWith = [];
    private readonly PriorityQueue<Entry, Entry> _mostFrequent = new(Comparer<Entry>.Create(Entry.Compare));
    private readonly HashSet<(int Left, int Right)> _grown = [];

    /// <summary>A pair with its count when it was queued.</summary>
    private readonly record struct Entry((int Left, int Right) Pair, long Count)
    {
        /// <summary>The more frequent first; of equals the one whose symbols are older, left before right.</summary>
        public static int Compare(Entry one, Entry other) => one.Count != other.Count ? other.Count.CompareTo(one.Count) : one.Pair.CompareTo(other.Pair);
    }

    /// <summary>Adds a word that occurs <paramref name="count"/> times.</summary>
    public void Add(int[] symbols, long count)
    {
        _words.Add((symbols, count));
        Count(_words.Count - 1, symbols, count);
    }

    /// <summary>The most frequent pair and its count, or null where no pair is left. The pair is taken out: it is merged next or never.</summary>
    public ((int Left, int Right) Pair, long Count)? TakeMostFrequent()
    {
        foreach (var pair in _grown)
            _mostFrequent.Enqueue(new Entry(pair, _counts[pair]), new Entry(pair, _counts[pair]));
        _grown.Clear();

        while (_mostFrequent.TryDequeue(out var entry, out _))
        {
            var count = _counts.GetValueOrDefault(entry.Pair);
            if (count == entry.Count && count > 0)
                return (entry.Pair, count);
            // Merges of other pairs took some of its occurrences since.
            if (count > 0 && count < entry.Count)
                _mostFrequent.Enqueue(new Entry(entry.Pair, count), new Entry(entry.Pair, count));
        }
        return null;
    }

    /// <summary>Replaces the pair by one symbol in all words, from left to right.</summary>
    public void Merge((int Left, int Right) pair, int merged)
    {
        if (!_wordsWith.Remove(pair, out var words))
            return;
        var last = -1;
        words.Sort();
        foreach (var word in words)
        {
            if (word == last)
                continue;
            last = word;
            var (symbols, count) = _words[word];
            // The list may still name words that lost the pair to another merge.
            if (Replace(symbols, pair, merged) is not { } replaced)
                continue;
            Count(word, symbols, -count);
            Count(word, replaced, count);
            _words[word] = (replaced, count);
        }
    }

    private void Count(int word, int[] symbols, long count)
    {
        for (var i = 0; i + 1 < symbols.Length; i++)
        {
            var pair = (symbols[i], symbols[i + 1]);
            CollectionsMarshal.GetValueRefOrAddDefault(_counts, pair, out _) += count;
            if (count < 0)
                continue;
            _grown.Add(pair);
            ref var words = ref CollectionsMarshal.GetValueRefOrAddDefault(_wordsWith, pair, out var known);
            if (!known)
                words = [];
            if (words!.Count == 0 || words[^1] != word)
                words.Add(word);
        }
    }

    private static int[]? Replace(int[] symbols, (int Left, int Right) pair, int merged)
    {
        int[]? replaced = null;
        var length = 0;
        for (var i = 0; i < symbols.Length; i++)
        {
            var found = i + 1 < symbols.Length && symbols[i] == pair.Left && symbols[i + 1] == pair.Right;
            if (found && replaced is null)
            {
                replaced = new int[symbols.Length - 1];
                Array.Copy(symbols, replaced, i);
            }
            if (replaced is not null)
                replaced[length] = found ? merged : symbols[i];
            length++;
            if (found)
                i++;
        }
        return replaced?[..length];
    }
}
