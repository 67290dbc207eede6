using System.Text;

namespace Rlgf.Tokenizers.Subwords;

/// <summary>
/// Byte-level byte pair encoding (Radford et al. 2019, section 2.2; Sennrich et al. 2016): a word's UTF-8 bytes, merged pair by pair, the pair that was
/// learned first before all others.
/// </summary>
/// <remarks>A byte that the vocabulary lacks becomes the unknown token, or nothing where there is none, as in the <c>tokenizers</c> library.</remarks>
internal sealed class ByteLevelBpe : ISubwordModel
{
    private readonly int[] _byteIds;
    private readonly BpeMerges _merges;
    private readonly bool _wholeWordsFirst;
    private readonly IReadOnlySet<int>? _excluded;
    private readonly WordCache _cache = new();
    private readonly Dictionary<string, int> _vocabulary;

    /// <summary>Creates the model.</summary>
    /// <param name="vocabulary">Token to id.</param>
    /// <param name="merges">The pairs in the order in which they were learned; both parts and what they make are in the vocabulary.</param>
    /// <param name="unknownId">What stands for a byte that isn't in the vocabulary, if anything does.</param>
    /// <param name="ignoreMerges">Whether a word that is a token as a whole is that token, whatever the merges say.</param>
    public ByteLevelBpe(Dictionary<string, int> vocabulary, IReadOnlyList<(string Left, string Right)> merges, int? unknownId, bool ignoreMerges)
    {
        _vocabulary = vocabulary;
        _byteIds = new int[256];
        for (var value = 0; value < 256; value++)
            _byteIds[value] = vocabulary.TryGetValue(ByteAlphabet.CharacterOf((byte)value).ToString(), out var id) ? id : unknownId ?? -1;
        _merges = new(merges.Select(merge => (vocabulary[merge.Left], vocabulary[merge.Right], vocabulary[merge.Left + merge.Right])));
        _wholeWordsFirst = ignoreMerges;
    }

    private ByteLevelBpe(ByteLevelBpe model, IReadOnlySet<int> excluded)
    {
        (_vocabulary, _byteIds, _wholeWordsFirst) = (model._vocabulary, model._byteIds, model._wholeWordsFirst);
        (_merges, _excluded) = (model._merges.Without(excluded), excluded);
    }

    public IReadOnlyDictionary<string, int> Vocabulary => _vocabulary;

    public ISubwordModel Without(IReadOnlySet<int> ids) => new ByteLevelBpe(this, ids);

    public ReadOnlySpan<WordToken> Tokenize(ReadOnlySpan<char> word, bool continues = false)
    {
        if (_cache.TryGet(word, out var tokens))
            return tokens;
        tokens = MergeBytes(word);
        _cache.Keep(word, tokens);
        return tokens;
    }

    private WordToken[] MergeBytes(ReadOnlySpan<char> word)
    {
        if (_wholeWordsFirst && _vocabulary.TryGetValue(ByteAlphabet.Spell(word), out var whole) && _excluded?.Contains(whole) != true)
            return [new WordToken(whole, 0, word.Length)];

        // One symbol per byte, with the characters it belongs to.
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
                    Symbol.Add(symbols, _byteIds[value], start, start + units);
            }
            start += units;
        }
        return _merges.Apply([.. symbols]);
    }
}
