using System.Collections.Concurrent;

namespace Rlgf.Tokenizers.Subwords;

/// <summary>Words that are kept with their tokens: most of a text is made of a few thousand words.</summary>
internal sealed class WordCache
{
    private const int Capacity = 1 << 16;
    private const int LongestWord = 64;

    private readonly ConcurrentDictionary<string, WordToken[]> _words = new();
    private readonly ConcurrentDictionary<string, WordToken[]>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private int _count;

    public WordCache() => _lookup = _words.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>A word's tokens if they are kept.</summary>
    public bool TryGet(ReadOnlySpan<char> word, out WordToken[]? tokens) => _lookup.TryGetValue(word, out tokens);

    /// <summary>Keeps a word while there is room.</summary>
    public void Keep(ReadOnlySpan<char> word, WordToken[] tokens)
    {
        if (word.Length <= LongestWord && Volatile.Read(ref _count) < Capacity && _lookup.TryAdd(word, tokens))
            Interlocked.Increment(ref _count);
    }
}
