using System.Runtime.InteropServices;
using System.Text;
using Rlgf.Text.Tokenization.Subwords;

namespace Rlgf.Text.Tokenization;

/// <summary>Byte-level tokenizer: added tokens, normalizer, words, tokens of words, offsets; decoding goes through the tokens' bytes.</summary>
internal sealed class TokenizerPipeline : ITokenizer
{
    private readonly TokenizerParts _parts;
    private readonly TokenizerFiles _files;
    private readonly AddedTokenCutter _addedTokens;
    private readonly AddedTokenCutter _addedTokensButSpecial;
    private readonly Dictionary<string, int> _ids;
    private readonly string?[] _tokens;
    private readonly byte[]?[] _bytes;
    private readonly bool[] _isSpecial;

    public TokenizerPipeline(TokenizerParts parts, TokenizerFiles files)
    {
        _parts = parts;
        _files = files;
        _addedTokens = new AddedTokenCutter(parts.AddedTokens, parts.Normalizer);
        _addedTokensButSpecial = new AddedTokenCutter([.. parts.AddedTokens.Where(token => !token.IsSpecial)], parts.Normalizer);

        _ids = new Dictionary<string, int>(parts.Model.Vocabulary, StringComparer.Ordinal);
        foreach (var added in parts.AddedTokens)
            _ids[added.Content] = added.Id;
        VocabularySize = _ids.Values.Append(-1).Max() + 1;
        _tokens = new string?[VocabularySize];
        _isSpecial = new bool[VocabularySize];
        foreach (var (token, id) in _ids)
            _tokens[id] = token;
        foreach (var added in parts.AddedTokens)
        {
            _tokens[added.Id] = added.Content;
            _isSpecial[added.Id] = added.IsSpecial;
        }
        _bytes = [.. _tokens.Select(token => token is null ? null : ByteAlphabet.Read(token))];
    }

    public int VocabularySize { get; }

    public int? BosId => _parts.BosId;

    public int? EosId => _parts.EosId;

    public int? PadId => _parts.PadId;

    public int[] Encode(string text, bool addSpecialTokens = false)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>(text.Length / 3 + 8);
        if (addSpecialTokens)
            ids.AddRange(_parts.Prefix);
        AddIds(_addedTokens.Split(text), _parts.AddsPrefixSpace, ids);
        if (addSpecialTokens)
            ids.AddRange(_parts.Suffix);
        return [.. ids];
    }

    public int[] EncodeContinuation(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>(text.Length / 3 + 8);
        AddIds(_addedTokensButSpecial.Split(text), addsPrefixSpace: false, ids);
        return [.. ids];
    }

    public TokenizedText EncodeWithOffsets(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>();
        var tokens = new List<string>();
        var offsets = new List<(int Start, int End)>();
        var words = new List<Word>();
        foreach (var piece in _addedTokens.Split(text))
        {
            if (piece.Token is not null)
            {
                Add(piece.Token.Id, piece.Text.Span, piece.Text.SourceOf(0, piece.Text.Span.Length));
                continue;
            }
            words.Clear();
            _parts.PreTokenizer.Split(_parts.AddsPrefixSpace ? piece.Text.WithSpaceBefore() : piece.Text, words);
            foreach (var word in words)
            {
                foreach (var token in _parts.Model.Tokenize(word.Span))
                    Add(token.Id, _tokens[token.Id], word.SourceOf(token.Start, token.End));
            }
        }
        return new TokenizedText([.. ids], [.. tokens], [.. offsets]);

        void Add(int id, ReadOnlySpan<char> spelling, (int, int) source)
        {
            offsets.Add(_parts.OffsetTrimming is { } trimming ? trimming.Trim(spelling, source, isFirst: ids.Count == 0) : source);
            ids.Add(id);
            tokens.Add(_tokens[id]!);
        }
    }

    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true) => Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(BytesOf(ids, skipSpecialTokens)));

    public bool EndsOnCharacter(ReadOnlySpan<int> ids)
    {
        // A character has at most 4 bytes, and a token that writes text at least one: no more than 3 of those can matter.
        var needed = 0;
        var start = ids.Length;
        while (start > 0 && needed < 3)
        {
            start--;
            if (Writes(ids[start]))
                needed++;
        }
        return Utf8.EndsOnCharacter(CollectionsMarshal.AsSpan(BytesOf(ids[start..], skipSpecialTokens: true)));
    }

    public string? TokenOf(int id) => id >= 0 && id < _tokens.Length ? _tokens[id] : null;

    public int? IdOf(string token) => _ids.TryGetValue(token, out var id) ? id : null;

    public void Save(string folder) => _files.Save(folder);

    private void AddIds(List<AddedTokenCutter.Piece> pieces, bool addsPrefixSpace, List<int> ids)
    {
        var words = new List<Word>();
        foreach (var piece in pieces)
        {
            if (piece.Token is not null)
            {
                ids.Add(piece.Token.Id);
                continue;
            }
            words.Clear();
            _parts.PreTokenizer.Split(addsPrefixSpace ? piece.Text.WithSpaceBefore() : piece.Text, words);
            foreach (var word in words)
            {
                foreach (var token in _parts.Model.Tokenize(word.Span))
                    ids.Add(token.Id);
            }
        }
    }

    private bool Writes(int id) => id >= 0 && id < _bytes.Length && !_isSpecial[id] && _bytes[id] is { Length: > 0 };

    private List<byte> BytesOf(ReadOnlySpan<int> ids, bool skipSpecialTokens)
    {
        var bytes = new List<byte>(ids.Length * 4);
        foreach (var id in ids)
        {
            // Models often have more ids than their tokenizer (a vocabulary rounded up); the ones without a token write nothing.
            if (id >= 0 && id < _bytes.Length && _bytes[id] is { } token && !(skipSpecialTokens && _isSpecial[id]))
                bytes.AddRange(token);
        }
        return bytes;
    }
}
