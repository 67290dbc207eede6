using System.Globalization;
using System.Text.Json.Nodes;
using Rlgf.Base;

namespace Rlgf.Gguf;

/// <summary>
/// The tokenizer of a GGUF file as Hugging Face's files: <c>tokenizer.json</c> and <c>tokenizer_config.json</c>. The file holds the tokens and either their merges (byte-level BPE, called "gpt2" there) or their
/// scores (SentencePiece's BPE, called "llama"); how text is cut into words is a name only (<see cref="GgufWords"/>).
/// </summary>
public sealed class GgufTokenizer
{
    private const string Prefix = "tokenizer.ggml.";
    private const string TemplateKey = "tokenizer.chat_template";

    /// <summary>Kinds that llama.cpp has and this doesn't, in words.</summary>
    private static readonly Dictionary<string, string> OtherKinds = new(StringComparer.Ordinal)
    {
        ["t5"] = "SentencePiece's unigram model", ["bert"] = "WordPiece", ["rwkv"] = "RWKV's longest match", ["plamo2"] = "PLaMo's", ["hybriddna"] = "for DNA", ["none"] = "no tokenizer at all", ["no_vocab"] = "no tokenizer at all",
    };

    private readonly GgufMetadata _metadata;
    private readonly string[] _tokens;
    private readonly TokenKind[] _kinds;
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly bool _isSentencePiece;
    private readonly GgufWords _words;

    /// <summary>Reads what the file has of a tokenizer.</summary>
    /// <exception cref="InputException">It has none, one of another kind, or one that contradicts itself.</exception>
    public GgufTokenizer(GgufMetadata metadata)
    {
        _metadata = metadata;
        var kind = metadata.Text($"{Prefix}model") ?? throw metadata.Fault($"{Prefix}model", "is missing: the file has no tokenizer");
        _isSentencePiece = kind switch
        {
            "gpt2" => false,
            "llama" => true,
            _ => throw metadata.Fault(
                $"{Prefix}model", $"is '{kind}'{(OtherKinds.TryGetValue(kind, out var name) ? $" ({name})" : "")}, a tokenizer that isn't read; gpt2 (byte-level BPE) and llama (SentencePiece's BPE) are: take the model's folder in the Hugging Face "
                + "format instead, or, for a guide, let llama.cpp's own server serve the file (guide: kind: openai), which exchanges texts"),
        };
        GgufKeys.CheckTokenizer(metadata);
        _words = _isSentencePiece ? GgufWords.Default : Words(metadata);
        if (!_isSentencePiece && metadata.Flag($"{Prefix}add_space_prefix") == true) throw metadata.Fault($"{Prefix}add_space_prefix", "is true, which isn't converted for byte-level BPE");
        _tokens = metadata.Texts($"{Prefix}tokens") ?? throw metadata.Fault($"{Prefix}tokens", "is missing");
        var kinds = metadata.Wholes($"{Prefix}token_type");
        if (kinds is not null && kinds.Length != _tokens.Length) throw metadata.Fault($"{Prefix}token_type", $"has {kinds.Length} entries for {_tokens.Length} tokens");
        _kinds = new TokenKind[_tokens.Length];
        for (var id = 0; id < _tokens.Length; id++)
        {
            _kinds[id] = kinds is null ? TokenKind.Normal
                : kinds[id] is >= (int)TokenKind.Normal and <= (int)TokenKind.Byte ? (TokenKind)kinds[id]
                : throw metadata.Fault($"{Prefix}token_type", $"has {kinds[id]} for the token {id}, a kind that isn't known");
            if (!_ids.TryAdd(_tokens[id], id)) throw metadata.Fault($"{Prefix}tokens", $"has '{_tokens[id]}' twice, as {_ids[_tokens[id]]} and {id}");
        }
    }

    /// <summary>How many tokens there are.</summary>
    public int Count => _tokens.Length;

    /// <summary>What kind it is, in words.</summary>
    public string Description => _isSentencePiece ? "SentencePiece BPE with byte fallback" : $"byte-level BPE, words as {_words.Name}";

    /// <summary>The token that begins a text; null where there is none.</summary>
    public int? BosId => Id("bos_token_id") ?? Customary(1, TokenKind.Control);

    /// <summary>The token that ends a text.</summary>
    public int? EosId => Id("eos_token_id") ?? Customary(2, TokenKind.Control);

    /// <summary>The token that ends a turn, where the file tells it apart from <see cref="EosId"/>.</summary>
    public int? EndOfTurnId => Id("eot_token_id");

    /// <summary>The tokens that end what a model writes: a text, a turn, or a message that asks a tool.</summary>
    public IReadOnlyList<int> EndIds => [.. new[] { EosId, EndOfTurnId, Id("eom_token_id") }.OfType<int>().Distinct()];

    /// <summary>Tokens that a model must not write.</summary>
    public IReadOnlyList<int> SuppressedIds =>
        [.. (_metadata.Wholes($"{Prefix}suppress_tokens") ?? []).Select(id => id >= 0 && id < _tokens.Length ? (int)id : throw _metadata.Fault($"{Prefix}suppress_tokens", $"has {id}, and there are {_tokens.Length} tokens"))];

    /// <summary>What was decided where the file leaves it open; none where it doesn't.</summary>
    public IReadOnlyList<string> Notes => _isSentencePiece || _words != GgufWords.Default ? [] :
    [
        $"{Prefix}pre {(_metadata.Has($"{Prefix}pre") ? "is 'default'" : "is missing")}: the file doesn't say how text is cut into words before its tokens are looked up; here it is done as llama.cpp does then, which may differ from what the model was taught; "
        + "make the file anew with a converter that knows the model's tokenizer, or take the tokenizer from the model's own folder",
    ];

    /// <summary>The token that fills up batches.</summary>
    public int? PadId => Id("padding_token_id");

    /// <summary>The chat template that has no name; null where there is none.</summary>
    public string? DefaultTemplate => _metadata.Text(TemplateKey);

    /// <summary>The chat template as <c>tokenizer_config.json</c> has it: a text, or where there are several a list of them with their names; null where there is none.</summary>
    public JsonNode? ChatTemplate
    {
        get
        {
            var first = DefaultTemplate;
            var others = _metadata.Keys.Where(key => key.StartsWith($"{TemplateKey}.", StringComparison.Ordinal)).Order(StringComparer.Ordinal).Select(key => Named(key[(TemplateKey.Length + 1)..], _metadata.Text(key)!)).ToArray();
            if (others.Length == 0) return first;
            return new JsonArray([.. first is null ? [] : new[] { Named("default", first) }, .. others]);

            static JsonObject Named(string name, string template) => new() { ["name"] = name, ["template"] = template };
        }
    }

    private int? UnknownId => Id("unknown_token_id") ?? Customary(0, TokenKind.Unknown);

    private bool AddsBos => _metadata.Flag($"{Prefix}add_bos_token") ?? (_isSentencePiece || _words.AddsBos);

    private bool AddsEos => _metadata.Flag($"{Prefix}add_eos_token") ?? false;

    private bool AddsSpace => _isSentencePiece && (_metadata.Flag($"{Prefix}add_space_prefix") ?? true);

    /// <summary>The text of a token.</summary>
    public string TokenOf(int id) => _tokens[id];

    /// <summary><c>tokenizer.json</c>.</summary>
    public JsonObject ToTokenizerJson() => new()
    {
        ["version"] = "1.0",
        ["truncation"] = null,
        ["padding"] = null,
        ["added_tokens"] = AddedTokens(),
        ["normalizer"] = Normalizer(),
        ["pre_tokenizer"] = PreTokenizer(),
        ["post_processor"] = PostProcessor(),
        ["decoder"] = Decoder(),
        ["model"] = Model(),
    };

    /// <summary><c>tokenizer_config.json</c>.</summary>
    /// <param name="contextLength">The model's context.</param>
    public JsonObject ToConfiguration(int contextLength)
    {
        var configuration = new JsonObject
        {
            ["add_prefix_space"] = false,
            ["bos_token"] = Spelling(BosId),
            ["clean_up_tokenization_spaces"] = false,
            ["eos_token"] = Spelling(EosId),
            ["model_max_length"] = contextLength,
            ["pad_token"] = Spelling(PadId),
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["unk_token"] = Spelling(UnknownId),
        };
        // In SentencePiece's form the space before a text is the normaliser's.
        if (_isSentencePiece) configuration.Remove("add_prefix_space");
        if (ChatTemplate is { } template) configuration["chat_template"] = template;
        return configuration;
    }

    private JsonArray AddedTokens()
    {
        var added = new JsonArray();
        for (var id = 0; id < _tokens.Length; id++)
        {
            var isSpecial = _kinds[id] is TokenKind.Control or TokenKind.Unknown || id == BosId || id == EosId;
            if (!isSpecial && _kinds[id] != TokenKind.UserDefined) continue;
            added.Add(new JsonObject
            {
                ["id"] = id,
                ["content"] = _tokens[id],
                ["single_word"] = false,
                ["lstrip"] = false,
                ["rstrip"] = false,
                ["normalized"] = false,
                ["special"] = isSpecial,
            });
        }

        return added;
    }

    private JsonObject? Normalizer()
    {
        if (!_isSentencePiece) return _words.Composes ? new JsonObject { ["type"] = "NFC" } : null;
        var spaces = Replace(" ", "▁");
        return AddsSpace ? new JsonObject { ["type"] = "Sequence", ["normalizers"] = new JsonArray(new JsonObject { ["type"] = "Prepend", ["prepend"] = "▁" }, spaces) } : spaces;
    }

    private JsonObject? PreTokenizer() => _isSentencePiece ? null : _words.ToJson();

    private JsonObject? PostProcessor()
    {
        var template = AddsBos || AddsEos ? Template() : null;
        if (_isSentencePiece) return template;
        var offsets = ByteLevel(usesRegex: true, trimsOffsets: false);
        return template is null ? offsets : Sequence("processors", offsets, template);
    }

    private JsonObject Template()
    {
        var bos = AddsBos ? BosId ?? throw Missing("bos_token_id", "add_bos_token") : (int?)null;
        var eos = AddsEos ? EosId ?? throw Missing("eos_token_id", "add_eos_token") : (int?)null;
        var special = new JsonObject();
        foreach (var id in new[] { bos, eos }.OfType<int>()) special[_tokens[id]] = new JsonObject { ["id"] = _tokens[id], ["ids"] = new JsonArray(id), ["tokens"] = new JsonArray(_tokens[id]) };
        return new JsonObject
        {
            ["type"] = "TemplateProcessing",
            ["single"] = new JsonArray([.. Around("A", 0)]),
            ["pair"] = new JsonArray([.. Around("A", 0), .. Around("B", 1)]),
            ["special_tokens"] = special,
        };

        IEnumerable<JsonNode> Around(string sequence, int type)
        {
            if (bos is { } first) yield return Special(first, type);
            yield return new JsonObject { ["Sequence"] = new JsonObject { ["id"] = sequence, ["type_id"] = type } };
            if (eos is { } last) yield return Special(last, type);
        }

        JsonObject Special(int id, int type) => new() { ["SpecialToken"] = new JsonObject { ["id"] = _tokens[id], ["type_id"] = type } };
    }

    private JsonObject Decoder()
    {
        if (!_isSentencePiece) return ByteLevel(usesRegex: true, trimsOffsets: true);
        var steps = new JsonArray(Replace("▁", " "), new JsonObject { ["type"] = "ByteFallback" }, new JsonObject { ["type"] = "Fuse" });
        if (AddsSpace) steps.Add(new JsonObject { ["type"] = "Strip", ["content"] = " ", ["start"] = 1, ["stop"] = 0 });
        return new JsonObject { ["type"] = "Sequence", ["decoders"] = steps };
    }

    private JsonObject Model()
    {
        var vocabulary = new JsonObject();
        for (var id = 0; id < _tokens.Length; id++) vocabulary.Add(_tokens[id], id);
        return new JsonObject
        {
            ["type"] = "BPE",
            ["dropout"] = null,
            ["unk_token"] = _isSentencePiece ? Spelling(UnknownId) : null,
            ["continuing_subword_prefix"] = null,
            ["end_of_word_suffix"] = null,
            ["fuse_unk"] = _isSentencePiece,
            ["byte_fallback"] = _isSentencePiece && HasAllBytes,
            ["ignore_merges"] = !_isSentencePiece && _words.IgnoresMerges,
            ["vocab"] = vocabulary,
            ["merges"] = new JsonArray([.. (_isSentencePiece ? MergesFromScores() : Merges()).Select(merge => (JsonNode)merge)]),
        };
    }

    /// <summary>The merges that the file lists, each checked.</summary>
    private IEnumerable<string> Merges()
    {
        foreach (var merge in _metadata.Texts($"{Prefix}merges") ?? throw _metadata.Fault($"{Prefix}merges", "is missing"))
        {
            var parts = merge.Split(' ');
            if (parts.Length != 2 || !_ids.ContainsKey(parts[0]) || !_ids.ContainsKey(parts[1]) || !_ids.ContainsKey(parts[0] + parts[1]))
                throw _metadata.Fault($"{Prefix}merges", $"has '{merge}', which doesn't join two tokens to a third");
            yield return merge;
        }
    }

    /// <summary>
    /// SentencePiece joins the two neighbours whose union has the highest score. As merges: every way to divide a token into two others, tokens in falling order of their scores, and the ways of one token in
    /// the order in which transformers has them, the shortest left part first.
    /// </summary>
    private IEnumerable<string> MergesFromScores()
    {
        var scores = _metadata.Numbers($"{Prefix}scores") ?? throw _metadata.Fault($"{Prefix}scores", "is missing");
        if (scores.Length != _tokens.Length) throw _metadata.Fault($"{Prefix}scores", $"has {scores.Length} entries for {_tokens.Length} tokens");
        var pieces = Enumerable.Range(0, _tokens.Length).Where(id => _kinds[id] is TokenKind.Normal or TokenKind.Unused).ToArray();
        if (Array.Exists(pieces, id => !double.IsFinite(scores[id]))) throw _metadata.Fault($"{Prefix}scores", "has one that is no number");
        var joined = pieces.Select(id => (Id: id, Ways: Ways(_tokens[id]).ToArray())).Where(token => token.Ways.Length > 0).OrderByDescending(token => scores[token.Id]).ToArray();
        if (joined.Length > 1 && scores[joined[0].Id] == scores[joined[^1].Id]) throw _metadata.Fault($"{Prefix}scores", "are all equal: they don't say in which order tokens are joined");
        return joined.SelectMany(token => token.Ways);
    }

    private IEnumerable<string> Ways(string token)
    {
        for (var length = 1; length < token.Length; length++)
        {
            if (char.IsLowSurrogate(token[length])) continue; // Not between the halves of a character.
            var (left, right) = (token[..length], token[length..]);
            if (IsPiece(left) && IsPiece(right)) yield return $"{left} {right}";
        }
    }

    private bool IsPiece(string text) => _ids.TryGetValue(text, out var id) && _kinds[id] is TokenKind.Normal or TokenKind.Unused;

    private bool HasAllBytes => Enumerable.Range(0, 256).All(value => _ids.ContainsKey(string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>")));

    private int? Id(string key)
    {
        if (_metadata.Whole(Prefix + key) is not { } id) return null;
        return id < _tokens.Length ? id : throw _metadata.Fault(Prefix + key, $"is {id}, and there are {_tokens.Length} tokens");
    }

    /// <summary>A SentencePiece vocabulary has its unknown, begin and end tokens first; files that don't name them mean these.</summary>
    private int? Customary(int id, TokenKind kind) => _isSentencePiece && id < _tokens.Length && _kinds[id] == kind ? id : null;

    private static GgufWords Words(GgufMetadata metadata)
    {
        const string Key = $"{Prefix}pre";
        if (metadata.Text(Key) is not { } name || name == GgufWords.Default.Name) return GgufWords.Default;
        return GgufWords.Find(name) ?? throw metadata.Fault(Key, $"is '{name}', a way to cut text into words that isn't known here; take the model's folder in the Hugging Face format instead");
    }

    private string? Spelling(int? id) => id is { } token ? _tokens[token] : null;

    private InputException Missing(string key, string reason) => _metadata.Fault(Prefix + key, $"is missing, where {reason} puts it around every text");

    private static JsonObject Sequence(string key, params JsonNode[] steps) => new() { ["type"] = "Sequence", [key] = new JsonArray(steps) };

    private static JsonObject Replace(string text, string content) => new() { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = text }, ["content"] = content };

    private static JsonObject ByteLevel(bool usesRegex, bool trimsOffsets) => new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = trimsOffsets, ["use_regex"] = usesRegex };
}

/// <summary>What a token is: the numbers of <c>token_type</c>.</summary>
internal enum TokenKind
{
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}
