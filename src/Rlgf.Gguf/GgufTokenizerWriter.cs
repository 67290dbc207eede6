using System.Globalization;
using System.Text.Json.Nodes;
using Rlgf.Base;

namespace Rlgf.Gguf;

/// <summary>What is known of a tokenizer beside its <c>tokenizer.json</c>.</summary>
public sealed record GgufTokenizerRoles
{
    /// <summary>The token that begins a text.</summary>
    public int? BosId { get; init; }

    /// <summary>The tokens that end what the model writes, the tokenizer's own end first.</summary>
    public IReadOnlyList<int> EndIds { get; init; } = [];

    /// <summary>The token that fills up batches.</summary>
    public int? PadId { get; init; }

    /// <summary>Whether the begin token stands before every text.</summary>
    public bool AddsBos { get; init; }

    /// <summary>Whether the end token stands behind every text.</summary>
    public bool AddsEos { get; init; }

    /// <summary>The token for what isn't known, as it is spelt, where <c>tokenizer.json</c> itself names none.</summary>
    public string? Unknown { get; init; }

    /// <summary>The chat template.</summary>
    public string? ChatTemplate { get; init; }
}

/// <summary>
/// Writes a tokenizer of Hugging Face's form as the keys of a GGUF file, the way back of <see cref="GgufTokenizer"/>: byte-level BPE with the name of how it cuts words, SentencePiece's BPE with scores, and its unigram model. What such a file has
/// no place for is refused by name.
/// </summary>
public sealed class GgufTokenizerWriter
{
    private const string Prefix = "tokenizer.ggml.";
    private const string Space = "▁";

    /// <summary>The score of what is never joined from others.</summary>
    private const float NoScore = -10_000;

    private static readonly string[] Taking = ["lstrip", "rstrip", "single_word"];
    private static readonly string[] PhiNames = ["phi-3", "phi3"];
    private static readonly string[] PhiTokens = ["</s>", "<unk>", "<s>", "<|endoftext|>"];

    private readonly string _source;
    private readonly JsonObject _json;
    private readonly JsonObject _model;
    private readonly GgufTokenizerRoles _roles;
    private readonly Dictionary<int, (string Content, bool IsSpecial)> _added;
    private readonly string _kind;
    private readonly List<string> _notes = [];

    /// <summary>Reads a tokenizer, and refuses what can't be written.</summary>
    /// <param name="source">What messages call the file.</param>
    /// <param name="json"><c>tokenizer.json</c>.</param>
    /// <param name="roles">What is known beside it.</param>
    /// <exception cref="InputException">It's malformed, or a GGUF file has no place for what it does.</exception>
    public GgufTokenizerWriter(string source, JsonObject json, GgufTokenizerRoles roles)
    {
        ArgumentNullException.ThrowIfNull(json);
        ArgumentNullException.ThrowIfNull(roles);
        (_source, _json, _roles) = (source, json, roles);
        _model = json["model"] as JsonObject ?? throw Fault("model", "is missing");
        _added = (json["added_tokens"] as JsonArray ?? []).OfType<JsonObject>().ToDictionary(token => (int)token["id"]!, token => ((string)token["content"]!, (bool?)token["special"] == true));
        _kind = (string?)_model["type"] switch
        {
            "BPE" when (bool?)_model["byte_fallback"] == true => "llama",
            "BPE" when IsByteLevel(json["pre_tokenizer"]) => "gpt2",
            "Unigram" => "t5",
            "BPE" => throw Fault("model", "is a BPE of characters, neither of bytes nor with pieces for them; llama.cpp has no such tokenizer"),
            var type => throw Fault("model", $"is of the type {type}, a tokenizer of models that write no text; GGUF files take BPE and Unigram"),
        };
        // What isn't special is found in every text, and its neighbours with it.
        if ((json["added_tokens"] as JsonArray ?? []).OfType<JsonObject>().FirstOrDefault(token => (bool?)token["special"] != true && Array.Exists(Taking, key => (bool?)token[key] == true)) is { } taking)
            _notes.Add($"the added token '{(string?)taking["content"]}' takes the spaces beside it, or stands only between words, which llama.cpp does not know");
        switch (_kind)
        {
            case "gpt2":
                Words = FindWords();
                break;
            case "llama":
                RequireSentencePieceBpe();
                break;
            default:
                break;
        }
    }

    /// <summary>The name of how words are cut; "default" where that isn't by name.</summary>
    public string Words { get; } = GgufWords.Default.Name;

    /// <summary>What isn't quite the same in llama.cpp, a sentence each.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>
    /// Makes sure that llama.cpp loads the vocabulary under a name: in models that are called Phi-3 it looks for some tokens without asking whether they are there.
    /// </summary>
    /// <param name="name">What the file calls the model.</param>
    /// <exception cref="InputException">One is missing.</exception>
    public void RequireNameFits(string name)
    {
        if (!PhiNames.Any(part => name.Contains(part, StringComparison.OrdinalIgnoreCase)) || PhiTokens.FirstOrDefault(token => IdOf(token) is null) is not { } missing) return;
        throw new InputException($"{_source}: has no token {missing}, for which llama.cpp looks in every model that is called '{name}', and would not load the file: give it a name without {string.Join(" or ", PhiNames)} (--name).");
    }

    /// <summary>A token as it is spelt; empty where no token has the id.</summary>
    public string TokenOf(int id) => _added.TryGetValue(id, out var added) ? added.Content : Vocabulary().Where(token => token.Id == id).Select(token => token.Text).FirstOrDefault() ?? "";

    /// <summary>Adds the keys.</summary>
    /// <param name="writer">The file.</param>
    /// <param name="vocabulary">V, rows of the model's embedding: ids that no token has are filled up.</param>
    public void Write(GgufFileWriter writer, int vocabulary)
    {
        ArgumentNullException.ThrowIfNull(writer);
        var tokens = Tokens(vocabulary);
        writer.Text($"{Prefix}model", _kind);
        writer.Text($"{Prefix}pre", Words);
        writer.Texts($"{Prefix}tokens", [.. tokens.Select(token => token.Text)]);
        if (_kind == "gpt2") writer.Texts($"{Prefix}merges", [.. Merges().Select(merge => $"{merge.Left} {merge.Right}")]);
        else writer.Numbers($"{Prefix}scores", Scores(tokens));
        writer.Wholes($"{Prefix}token_type", [.. tokens.Select(token => (int)token.Kind)]);
        if (_kind == "t5") WriteUnigram(writer);
        else if (_kind == "llama" && !PrependsSpace) writer.Flag($"{Prefix}add_space_prefix", false);
        Id("bos_token_id", _roles.BosId);
        (string Key, int Place)[] ends = [("eos_token_id", 0), ("eot_token_id", 1), ("eom_token_id", 2)];
        foreach (var (key, place) in ends) Id(key, _roles.EndIds.Count > place ? _roles.EndIds[place] : null);
        Id("unknown_token_id", UnknownId);
        Id("padding_token_id", _roles.PadId);
        writer.Flag($"{Prefix}add_bos_token", _roles.AddsBos);
        if (_roles.AddsEos || _kind == "t5") writer.Flag($"{Prefix}add_eos_token", _roles.AddsEos);
        if (_roles.ChatTemplate is { } template) writer.Text("tokenizer.chat_template", template);
        if (_roles.EndIds.Count > ends.Length) _notes.Add($"{_roles.EndIds.Count} tokens end a text, and the format names {ends.Length}; llama.cpp knows more of them only by their spelling");

        void Id(string key, int? id)
        {
            if (id is { } token) writer.Whole(Prefix + key, token);
        }
    }

    private int? UnknownId => _kind == "t5" ? (int?)_model["unk_id"] : ((string?)_model["unk_token"] ?? _roles.Unknown) is { } unknown && IdOf(unknown) is { } id ? id
        // SentencePiece's own is its first piece.
        : _kind == "llama" && _added.TryGetValue(0, out var first) && first.Content == "<unk>" ? 0 : null;

    private bool PrependsSpace => Parts(_json["normalizer"], "normalizers").Any(part => Is(part, "Prepend")) || Parts(_json["pre_tokenizer"], "pretokenizers").Any(part => Is(part, "Metaspace") && (string?)part["prepend_scheme"] != "never");

    private int? IdOf(string token) => _added.Where(pair => pair.Value.Content == token).Select(pair => (int?)pair.Key).FirstOrDefault() ?? (int?)(_model["vocab"] as JsonObject)?[token];

    /// <summary>All tokens by id; what no token has is filled up, as converters do it.</summary>
    private (string Text, TokenKind Kind)[] Tokens(int vocabulary)
    {
        var tokens = new (string Text, TokenKind Kind)[vocabulary];
        foreach (var (text, id) in Vocabulary())
        {
            if (id < 0 || id >= vocabulary) throw Fault("model.vocab", $"has the id {id}, and the model has embeddings for {vocabulary}");
            tokens[id] = (text, _kind == "llama" && IsByte(text) ? TokenKind.Byte : TokenKind.Normal);
        }

        foreach (var (id, (text, isSpecial)) in _added)
        {
            if (id < 0 || id >= vocabulary) throw Fault("added_tokens", $"has the id {id}, and the model has embeddings for {vocabulary}");
            // Sentinels of T5 are in the vocabulary; what is only added to a text has no piece.
            tokens[id] = (text, id == UnknownId && _kind != "gpt2" ? TokenKind.Unknown : isSpecial ? TokenKind.Control : TokenKind.UserDefined);
        }

        if (UnknownId is { } unknown && _kind != "gpt2" && tokens[unknown].Text is not null) tokens[unknown].Kind = TokenKind.Unknown;
        for (var id = 0; id < vocabulary; id++) tokens[id].Text ??= string.Create(CultureInfo.InvariantCulture, $"[PAD{id}]");
        for (var id = 0; id < vocabulary; id++)
        {
            if (tokens[id].Kind == default) tokens[id].Kind = TokenKind.Unused;
        }

        return tokens;
    }

    private IEnumerable<(string Text, int Id)> Vocabulary() => _model["vocab"] switch
    {
        JsonObject words => words.Select(pair => (pair.Key, (int)pair.Value!)),
        JsonArray pieces => pieces.Select((piece, id) => ((string)piece![0]!, id)),
        _ => throw Fault("model.vocab", "is missing"),
    };

    private IEnumerable<(string Left, string Right)> Merges() => (_model["merges"] as JsonArray ?? throw Fault("model.merges", "is missing")).Select(merge => merge is JsonArray { Count: 2 } pair
        ? ((string)pair[0]!, (string)pair[1]!)
        : ((string)merge!).Split(' ') is [var left, var right] ? (left, right) : throw Fault("model.merges", $"has '{merge}', which isn't two tokens"));

    /// <summary>
    /// SentencePiece joins by scores instead of merges: the highest first. A token's is the place of the first merge that makes it, counted downwards; those that no merge makes follow in the order of their ids.
    /// </summary>
    private float[] Scores((string Text, TokenKind Kind)[] tokens)
    {
        var scores = new float[tokens.Length];
        if (_model["vocab"] is JsonArray pieces)
        {
            for (var id = 0; id < scores.Length; id++) scores[id] = id < pieces.Count && tokens[id].Kind is not TokenKind.Unused ? (float)(double)pieces[id]![1]! : NoScore;
            return scores;
        }

        var places = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (left, right) in Merges()) places.TryAdd(left + right, places.Count);
        var next = places.Count;
        for (var id = 0; id < scores.Length; id++)
        {
            scores[id] = tokens[id].Kind switch
            {
                TokenKind.Normal => places.TryGetValue(tokens[id].Text, out var place) ? -place : -next++,
                TokenKind.Unused => NoScore,
                _ => 0,
            };
        }

        return scores;
    }

    private void WriteUnigram(GgufFileWriter writer)
    {
        var normalizers = Parts(_json["normalizer"], "normalizers");
        writer.Flag($"{Prefix}add_space_prefix", true);
        writer.Flag($"{Prefix}remove_extra_whitespaces", true);
        if (normalizers.FirstOrDefault(part => Is(part, "Precompiled")) is { } map) writer.Bytes($"{Prefix}precompiled_charsmap", Convert.FromBase64String((string)map["precompiled_charsmap"]!));
    }

    /// <summary>SentencePiece's own form, or that of newer folders: spaces as ▁ and one before a text.</summary>
    private void RequireSentencePieceBpe()
    {
        foreach (var part in Parts(_json["normalizer"], "normalizers"))
        {
            var isKnown = (string?)part["type"] switch
            {
                "Prepend" => (string?)part["prepend"] == Space,
                "Replace" => (string?)part["pattern"]?["String"] == " " && (string?)part["content"] == Space,
                _ => false,
            };
            if (!isKnown) throw Fault("normalizer", $"has {part.ToJsonString()}, which llama.cpp doesn't do to SentencePiece's tokens");
        }

        foreach (var part in Parts(_json["pre_tokenizer"], "pretokenizers"))
        {
            if (!Is(part, "Metaspace") && !(Is(part, "Split") && (string?)part["pattern"]?["String"] == " ")) throw Fault("pre_tokenizer", $"has {part.ToJsonString()}, which llama.cpp doesn't do to SentencePiece's tokens");
        }

        string[] missing = [.. Enumerable.Range(0, 256).Select(value => string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>")).Where(piece => IdOf(piece) is null)];
        if (missing.Length > 0)
        {
            throw Fault(
                "model.vocab", $"has no piece for {(missing.Length == 256 ? "any byte" : $"{missing.Length} of the 256 bytes ({missing[0]} and others)")} nor, so, for a newline: llama.cpp looks them up without asking and would not load the file; "
                + "train with a tokenizer whose vocabulary has bytes (SentencePiece's byte_fallback)");
        }
    }

    private static GgufWords Named(IReadOnlyList<string> steps, bool ignoresMerges, bool composes) =>
        GgufWords.Named.FirstOrDefault(words => words.Steps.SequenceEqual(steps) && words.IgnoresMerges == ignoresMerges && words.Composes == composes)
        ?? GgufWords.Named.FirstOrDefault(words => words.Steps.SequenceEqual(steps) && words.IgnoresMerges == ignoresMerges) ?? GgufWords.Default;

    private string FindWords()
    {
        var composes = false;
        foreach (var part in Parts(_json["normalizer"], "normalizers"))
        {
            if (!Is(part, "NFC")) throw Fault("normalizer", $"has {part.ToJsonString()}, which llama.cpp doesn't do to byte-level BPE");
            composes = true;
        }

        var steps = new List<string>();
        foreach (var part in Parts(_json["pre_tokenizer"], "pretokenizers"))
        {
            if (GgufWords.StepOf(part, out var step)) steps.AddRange(step is null ? [] : [step]);
            else throw Fault("pre_tokenizer", $"has {part.ToJsonString()}, which llama.cpp has no name for");
        }

        var ignoresMerges = (bool?)_model["ignore_merges"] == true;
        var found = Named(steps, ignoresMerges, composes);
        if (found == GgufWords.Default)
        {
            throw Fault(
                "pre_tokenizer", $"cuts words by {string.Join(" then ", steps.DefaultIfEmpty("nothing"))}{(ignoresMerges ? ", and words that are tokens aren't cut further," : "")} which llama.cpp has no name for: its words would be others; "
                + "train with a tokenizer of GPT-2's words (rlgf tokenizer train), or serve the model by 'rlgf serve'");
        }

        // llama.cpp composes nothing, whatever the name.
        if (composes) _notes.Add("the tokenizer composes characters first (NFC), which llama.cpp does not: texts with decomposed accents get other tokens there");
        return found.Name;
    }

    private static bool IsByteLevel(JsonNode? preTokenizer) => Parts(preTokenizer, "pretokenizers").Any(part => Is(part, "ByteLevel"));

    private static bool IsByte(string token) => token is ['<', '0', 'x', _, _, '>'];

    private static bool Is(JsonObject part, string type) => (string?)part["type"] == type;

    /// <summary>A section's parts, itself where it isn't a sequence.</summary>
    private static IEnumerable<JsonObject> Parts(JsonNode? section, string key) => section is not JsonObject part ? [] : Is(part, "Sequence") ? (part[key] as JsonArray ?? []).SelectMany(inner => Parts(inner, key)) : [part];

    private InputException Fault(string key, string what) => new($"{_source}: {key} {what}.");
}
