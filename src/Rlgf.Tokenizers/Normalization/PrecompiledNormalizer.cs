using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Rlgf.Tokenizers.Normalization;

/// <summary>Sentencepiece's compiled table of what becomes what (<c>precompiled_charsmap</c>): a double-array trie over UTF-8 and the texts that it points to.</summary>
/// <remarks>
/// Read as the <c>tokenizers</c> library does, not as sentencepiece itself: a user-perceived character of less than six bytes is looked up whole, and becomes what
/// the shortest entry that begins it says; failing that each code point is looked up by itself.
/// </remarks>
internal sealed class PrecompiledNormalizer : INormalizer
{
    /// <summary>Longer clusters are looked up code point by code point.</summary>
    private const int LongestCluster = 5;

    private const int LongestReplacement = 256;

    private readonly uint[] _trie;
    private readonly byte[] _texts;

    private PrecompiledNormalizer(uint[] trie, byte[] texts) => (_trie, _texts) = (trie, texts);

    /// <summary>Reads a table; null where the bytes are none.</summary>
    public static PrecompiledNormalizer? TryRead(ReadOnlySpan<byte> table)
    {
        if (table.Length < 4)
            return null;
        var size = BinaryPrimitives.ReadUInt32LittleEndian(table);
        if (size % 4 != 0 || size == 0 || size > table.Length - 4)
            return null;
        var trie = new uint[size / 4];
        for (var i = 0; i < trie.Length; i++)
            trie[i] = BinaryPrimitives.ReadUInt32LittleEndian(table[(4 + 4 * i)..]);
        var texts = table[(4 + (int)size)..].ToArray();
        // What one character becomes must not be as long as somebody likes.
        for (var start = 0; start < texts.Length;)
        {
            var length = texts.AsSpan(start).IndexOf((byte)0);
            length = length < 0 ? texts.Length - start : length;
            if (length > LongestReplacement)
                return null;
            start += length + 1;
        }
        return new PrecompiledNormalizer(trie, texts);
    }

    public Word Normalize(Word text)
    {
        var written = new List<(Rune Rune, int Surplus)>(text.End - text.Start);
        var changes = false;
        for (var rest = text.Span; rest.Length > 0;)
        {
            var cluster = rest[..StringInfo.GetNextTextElementLength(rest)];
            rest = rest[cluster.Length..];
            if (Encoding.UTF8.GetByteCount(cluster) <= LongestCluster && Find(cluster) is { } whole)
            {
                Write(cluster, whole);
                continue;
            }
            while (cluster.Length > 0)
            {
                Rune.DecodeFromUtf16(cluster, out var rune, out var length);
                if (Find(cluster[..length]) is { } single)
                    Write(cluster[..length], single);
                else
                    written.Add((rune, 0));
                cluster = cluster[length..];
            }
        }
        if (!changes)
            return text;
        var rewriting = new Rewriting(text);
        foreach (var (rune, surplus) in written)
            rewriting.Write(rune, surplus);
        return rewriting.Finish();

        void Write(ReadOnlySpan<char> old, string replacement)
        {
            changes = true;
            var surplus = CountOf(replacement) - CountOf(old);
            foreach (var rune in replacement.EnumerateRunes())
                written.Add((rune, 0));
            // What is more than before was added after the rest; what is less went with the last character, whichever that is.
            for (var i = 0; i < surplus; i++)
                written[written.Count - 1 - i] = (written[written.Count - 1 - i].Rune, 1);
            if (surplus < 0 && written.Count > 0)
                written[^1] = (written[^1].Rune, written[^1].Surplus + surplus);
        }
    }

    private static int CountOf(ReadOnlySpan<char> text)
    {
        var count = 0;
        foreach (var _ in text.EnumerateRunes())
            count++;
        return count;
    }

    /// <summary>What the shortest entry that begins a text says, or null where none does.</summary>
    private string? Find(ReadOnlySpan<char> text)
    {
        Span<byte> bytes = stackalloc byte[Encoding.UTF8.GetMaxByteCount(text.Length)];
        bytes = bytes[..Encoding.UTF8.GetBytes(text, bytes)];
        uint node = OffsetOf(_trie[0]);
        foreach (var value in bytes)
        {
            if (value == 0)
                break;
            node ^= value;
            if (node >= _trie.Length)
                return null;
            var unit = _trie[node];
            if ((unit & 0x800000FF) != value)
                return null;
            node ^= OffsetOf(unit);
            if (node >= _trie.Length)
                return null;
            if ((unit >> 8 & 1) == 1)
                return TextAt(_trie[node] & 0x7FFFFFFF);
        }
        return null;
    }

    private string? TextAt(uint start)
    {
        if (start >= _texts.Length)
            return null;
        var text = _texts.AsSpan((int)start);
        var end = text.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? text : text[..end]);
    }

    private static uint OffsetOf(uint unit) => unit >> 10 << (int)((unit & (1 << 9)) >> 6);
}
