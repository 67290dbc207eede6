using System.Runtime.InteropServices;
using Rlgf.Base;
using Rlgf.Tokenizers.Decoding;
using Rlgf.Tokenizers.Normalization;
using Rlgf.Tokenizers.Parts;
using Rlgf.Tokenizers.Subwords;

namespace Rlgf.Tokenizers;

/// <summary>A tokenizer made of parts: added tokens, normalizer, words, tokens of words, offsets, and back.</summary>
internal sealed class TokenizerPipeline : ITokenizer
{
    private readonly TokenizerParts _parts;
    private readonly TokenizerFiles _files;
    private readonly AddedTokenCutter _addedTokens;
    private readonly AddedTokenCutter _addedTokensButSpecial;
    private readonly Lazy<ISubwordModel> _modelWithoutSpecial;
    private readonly Lazy<ISubwordModel> _modelWithoutAdded;
    private readonly IDetokenizer _detokenizer;
    private readonly Dictionary<string, int> _ids;
    private readonly string?[] _tokens;
    private readonly bool[] _isSpecial;

    public TokenizerPipeline(TokenizerParts parts, TokenizerFiles files)
    {
        _parts = parts;
        _files = files;
        _addedTokensButSpecial = new AddedTokenCutter([.. parts.AddedTokens.Where(token => !token.IsSpecial)], parts.Normalizer);
        _addedTokens = parts.SplitsSpecialTokens ? _addedTokensButSpecial : new AddedTokenCutter(parts.AddedTokens, parts.Normalizer);
        _modelWithoutSpecial = new(() => parts.Model.Without(parts.AddedTokens.Where(token => token.IsSpecial).Select(token => token.Id).ToHashSet()));

        _modelWithoutAdded = new(() => parts.Model.Without(parts.AddedTokens.Select(token => token.Id).ToHashSet()));

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
        var written = Written(parts);
        _detokenizer = parts.DecoderSteps is { } steps ? new PieceDetokenizer(written, steps, parts.CleansUp) : new ByteLevelDetokenizer(written);
    }

    public int VocabularySize { get; }

    public int? BosId => _parts.BosId;

    public int? EosId => _parts.EosId;

    public int? PadId => _parts.PadId;

    public int[] Encode(string text, bool addSpecialTokens = false)
    {
        var ids = IdsOf(text);
        return addSpecialTokens ? _parts.Single.Fill(CollectionsMarshal.AsSpan(ids), []).Ids : [.. ids];
    }

    public int[] Encode(string text, IReadOnlyList<(int Start, int End)> ordinary)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>(text.Length / 3 + 8);
        AddIds(_addedTokens.Split(text, ordinary: ordinary), _parts.Model, ids);
        return [.. ids];
    }

    public IReadOnlyList<FoundToken> FindAddedTokens(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return [.. from piece in _addedTokens.Split(text)
            where piece.Token is not null
            let source = piece.Text.SourceOf(0, piece.Text.Span.Length)
            select new FoundToken(piece.Token!.Id, source.Start, source.End, piece.Token.IsSpecial)];
    }

    public EncodedInput EncodeInput(string first, string? second = null, int? maxLength = null)
    {
        ReadOnlySpan<int> firstIds = CollectionsMarshal.AsSpan(IdsOf(first));
        ReadOnlySpan<int> secondIds = second is null ? [] : CollectionsMarshal.AsSpan(IdsOf(second));
        // To the transformers library an empty second text is none.
        var template = string.IsNullOrEmpty(second) ? _parts.Single : _parts.Pair;
        if (maxLength is { } most)
        {
            if (most < template.AddedTokens)
                throw new InputException($"a limit of {most} tokens leaves no room for a text: the tokenizer itself adds {template.AddedTokens}.");
            var truncation = template == _parts.Single ? _parts.Truncation with { Which = TruncatedText.Longest } : _parts.Truncation;
            truncation.Apply(ref firstIds, ref secondIds, most - template.AddedTokens);
        }
        var (ids, types) = template.Fill(firstIds, secondIds);
        return new EncodedInput(ids, types);
    }

    public int[] EncodeContinuation(string text, bool startsText = false)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>(text.Length / 3 + 8);
        AddIds(_addedTokensButSpecial.Split(text, continues: !startsText), _modelWithoutSpecial.Value, ids);
        return [.. ids];
    }

    public int[] AddSpecialTokens(ReadOnlySpan<int> ids) => _parts.Single.Fill(ids, []).Ids;

    public TokenizedText EncodeWithOffsets(string text) => EncodeWithOffsets(text, []);

    public TokenizedText EncodeWithOffsets(string text, IReadOnlyList<(int Start, int End)> ordinary)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>();
        var tokens = new List<string>();
        var offsets = new List<(int Start, int End)>();
        var words = new List<Word>();
        foreach (var piece in _addedTokens.Split(text, ordinary: ordinary))
        {
            if (piece.Token is not null)
            {
                Add(piece.Token.Id, piece.Text.Span, piece.Text.SourceOf(0, piece.Text.Span.Length));
                continue;
            }
            words.Clear();
            _parts.PreTokenizer.Split(piece.Text, words);
            foreach (var word in words)
            {
                foreach (var token in _parts.Model.Tokenize(word.Span))
                    Add(token.Id, _tokens[token.Id], word.SourceOf(token.Start, token.End));
            }
        }
        return new TokenizedText([.. ids], [.. tokens], [.. offsets]);

        void Add(int id, ReadOnlySpan<char> spelling, (int, int) source)
        {
            offsets.Add(_parts.OffsetTrimming is { } trimming ? trimming.Trim(spelling, text, source, isFirst: ids.Count == 0) : source);
            ids.Add(id);
            tokens.Add(_tokens[id]!);
        }
    }

    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true) => Decode(ids, skipSpecialTokens, startsText: true);

    public string DecodeContinuation(ReadOnlySpan<int> ids, bool skipSpecialTokens = true) => Decode(ids, skipSpecialTokens, startsText: false);

    public bool EndsOnCharacter(ReadOnlySpan<int> ids) => _detokenizer.EndsOnCharacter(Written(ids, skipSpecialTokens: true));

    public int SettledTokens(ReadOnlySpan<int> ids)
    {
        var written = Written(ids, skipSpecialTokens: true);
        var settled = _detokenizer.SettledTokens(written);
        if (settled == written.Length)
            return ids.Length;
        var at = 0;
        for (; settled > 0; at++)
            settled -= Writes(ids[at], skipSpecialTokens: true) ? 1 : 0;
        return at;
    }

    public string? TokenOf(int id) => id >= 0 && id < _tokens.Length ? _tokens[id] : null;

    public int? IdOf(string token) => _ids.TryGetValue(token, out var id) ? id : null;

    public void Save(string folder) => _files.Save(folder);

    /// <summary>The tokens as they are decoded: those that are looked for in normalised text are normalised themselves, as the tokenizers library has it since 0.23.</summary>
    private string?[] Written(TokenizerParts parts)
    {
        if (parts.Normalizer is not { } normalizer || !parts.AddedTokens.Any(token => token.IsNormalized))
            return _tokens;
        string?[] written = [.. _tokens];
        foreach (var added in parts.AddedTokens.Where(token => token.IsNormalized))
            written[added.Id] = normalizer.Normalize(Word.Whole(added.Content)).Span.ToString();
        return written;
    }

    private List<int> IdsOf(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>(text.Length / 3 + 8);
        AddIds(_addedTokens.Split(text), _parts.Model, ids);
        return ids;
    }

    private void AddIds(List<AddedTokenCutter.Piece> pieces, ISubwordModel model, List<int> ids)
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
            _parts.PreTokenizer.Split(piece.Text, words);
            foreach (var word in words)
            {
                foreach (var token in (piece.IsOrdinary ? _modelWithoutAdded.Value : model).Tokenize(word.Span, word.Continues))
                    ids.Add(token.Id);
            }
        }
    }

    private string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens, bool startsText) => _detokenizer.Decode(Written(ids, skipSpecialTokens), startsText);

    /// <summary>The ids that write text. Models often have more ids than their tokenizer (a vocabulary rounded up); the ones without a token write nothing.</summary>
    private ReadOnlySpan<int> Written(ReadOnlySpan<int> ids, bool skipSpecialTokens)
    {
        var all = true;
        foreach (var id in ids)
            all &= Writes(id, skipSpecialTokens);
        if (all)
            return ids;
        var written = new List<int>(ids.Length);
        foreach (var id in ids)
        {
            if (Writes(id, skipSpecialTokens))
                written.Add(id);
        }
        return CollectionsMarshal.AsSpan(written);
    }

    private bool Writes(int id, bool skipSpecialTokens) => id >= 0 && id < _tokens.Length && _tokens[id] is not null && !(skipSpecialTokens && _isSpecial[id]);
}
