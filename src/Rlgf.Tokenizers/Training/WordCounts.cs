using System.Runtime.InteropServices;
using System.Text;
using Rlgf.Tokenizers.Words;

namespace Rlgf.Tokenizers.Training;

/// <summary>How often each word occurs in the training texts; a word is what GPT-2's pattern says.</summary>
internal sealed class WordCounts
{
    private readonly Gpt2Pattern _pattern = new();
    private readonly Dictionary<string, long> _counts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long>.AlternateLookup<ReadOnlySpan<char>> _lookup;

    public WordCounts() => _lookup = _counts.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>Whether no word was added.</summary>
    public bool IsEmpty => _counts.Count == 0;

    /// <summary>Adds the words of a text.</summary>
    public void Add(ReadOnlySpan<char> text)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = _pattern.EndOfMatch(text, start);
            CollectionsMarshal.GetValueRefOrAddDefault(_lookup, text[start..end], out _)++;
            start = end;
        }
    }

    /// <summary>The words of at least two bytes with their counts, in an order that depends on the words alone.</summary>
    public IEnumerable<(byte[] Bytes, long Count)> InOrder() =>
        _counts.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => (Encoding.UTF8.GetBytes(entry.Key), entry.Value)).Where(entry => entry.Item1.Length > 1);
}
