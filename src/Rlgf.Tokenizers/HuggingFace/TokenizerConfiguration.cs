using System.Globalization;
using Rlgf.Base;
using Rlgf.Tokenizers.Parts;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>What <c>tokenizer_config.json</c> and <c>special_tokens_map.json</c> say beyond the tokenizer itself; both may be missing.</summary>
internal sealed class TokenizerConfiguration
{
    private static readonly string[] CommonRoles = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    private readonly JsonPart? _configuration;
    private readonly JsonPart? _specialTokens;

    public TokenizerConfiguration(TokenizerFiles files)
    {
        _configuration = Parse(TokenizerFiles.Configuration);
        _specialTokens = Parse(TokenizerFiles.SpecialTokens);

        Roles = [.. CommonRoles, .. (_configuration?.Members() ?? []).Where(member => member.Key.EndsWith("_token", StringComparison.Ordinal) && member.Value.IsString)
            .Select(member => member.Key).Except(CommonRoles)];

        JsonPart? Parse(string name) => files.Has(name) ? JsonPart.Parse(files.PathOf(name), files[name]) : null;
    }

    /// <summary>The roles that tokens can have: those of every tokenizer, then those that the configuration names itself (<c>"image_token"</c>, say).</summary>
    public IReadOnlyList<string> Roles { get; }

    /// <summary>The class that wrote the folder, without "Fast".</summary>
    public string? ClassName => _configuration?.Optional("tokenizer_class")?.AsString() is { } name
        ? name.EndsWith("Fast", StringComparison.Ordinal) ? name[..^4] : name
        : null;

    /// <summary>A setting that is true or false; null where the file doesn't have it.</summary>
    public bool? Flag(string key) => _configuration?.Optional(key)?.AsFlag();

    /// <summary>A count; null where the file doesn't have it.</summary>
    public int? Count(string key) => _configuration?.Optional(key)?.AsId();

    /// <summary>Whether decoded text is cleaned of spaces before punctuation.</summary>
    public bool CleansUp => Flag("clean_up_tokenization_spaces") ?? false;

    /// <summary>Whether begin and end tokens follow from this file, whatever <c>tokenizer.json</c> says: some classes of the transformers library have it so.</summary>
    public bool ReplacesBosAndEos =>
        ClassName is "LlamaTokenizer" or "CodeLlamaTokenizer" or "GemmaTokenizer" && (Flag("add_bos_token") is not null || Flag("add_eos_token") is not null);

    /// <summary>Whether every text begins with BOS, for those classes.</summary>
    public bool AddsBos => Flag("add_bos_token") ?? true;

    /// <summary>Whether every text ends with EOS, for those classes.</summary>
    public bool AddsEos => Flag("add_eos_token") ?? false;

    /// <summary>
    /// Whether a vocabulary of sentencepiece marks the first word of a text only where it doesn't begin with a space: "legacy": false says so, and the
    /// transformers library has it so since version 5.
    /// </summary>
    public bool MarksOnlyFirstWord => Flag("legacy") is { } legacy ? !legacy : ClassName == "LlamaTokenizer" && _configuration?.Mentions("backend") == true;

    /// <summary>The error for a role that is asked for and that no token has.</summary>
    public InputException Lacks(string role) => _configuration!.Value.Error($"asks for {role} around every text, but no token has that role");

    /// <summary>The error for a token with a role whose id no file tells.</summary>
    public InputException UnlistedToken(string role, string token) =>
        _configuration!.Value.Error($"has {role} \"{token}\", but neither \"added_tokens_decoder\" nor {TokenizerFiles.Vocabulary} says which id that is; save {TokenizerFiles.Tokenizer} with the transformers library");

    /// <summary>The error for a class whose tokenizers can't be made of some files alone.</summary>
    public InputException UnsupportedClass(string files) =>
        _configuration!.Value.Error($"tokenizer_class \"{ClassName}\" can't be read from {files} alone, without {TokenizerFiles.Tokenizer}; save that file with the transformers library");

    /// <summary>
    /// Whether the configuration lists the added tokens with their ids; then the transformers library reads neither <c>special_tokens_map.json</c> nor
    /// <c>added_tokens.json</c>.
    /// </summary>
    public bool ListsAddedTokens => _configuration?.Mentions("added_tokens_decoder") == true;

    /// <summary>Whether special tokens in a text are plain text.</summary>
    public bool SplitsSpecialTokens => Flag("split_special_tokens") ?? false;

    /// <summary>The added tokens that the configuration lists with their ids, and where.</summary>
    public IEnumerable<(AddedToken Token, JsonPart Entry)> AddedTokens()
    {
        foreach (var (id, token) in _configuration?.Optional("added_tokens_decoder")?.Members() ?? [])
        {
            if (!int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number >= JsonPart.MostTokens)
                throw token.Error("must be named by a token id");
            yield return (TokenizerJson.ReadAddedToken(token, number), token);
        }
    }

    /// <summary>Special tokens without a role of the usual ones, in the order in which they get ids; their own ids are not known here.</summary>
    public IEnumerable<AddedToken> OtherSpecialTokens()
    {
        foreach (var file in (JsonPart?[])(ListsAddedTokens ? [_configuration] : [_configuration, _specialTokens]))
        {
            // The second is the older name, which isn't read where the newer one is.
            if ((file?.Optional("extra_special_tokens") ?? file?.Optional("additional_special_tokens")) is not { } list)
                continue;
            foreach (var token in list.IsObject ? list.Members().Select(member => member.Value) : list.Items())
                yield return Special(token, isSpecial: token.IsString || !token.Mentions("special") || token.Flag("special"));
        }
    }

    /// <summary>The token with a role, such as <c>"eos_token"</c>; null where none has it.</summary>
    /// <param name="role">The role's key.</param>
    /// <param name="otherwise">The token that has the role where neither file mentions it.</param>
    public string? TokenOf(string role, string? otherwise = null) => Entry(role) is { } named
        ? named.IsString ? named.AsString() : named.Required("content").AsString()
        : _configuration?.Mentions(role) == true || ReadsSpecialTokens(role) ? null : otherwise;

    /// <summary>The token with a role as one to add to a vocabulary; its id is not known here. Null where none has the role.</summary>
    public AddedToken? SpecialTokenOf(string role, string? otherwise) =>
        TokenOf(role, otherwise) is not { } content ? null
        : Entry(role) is { IsString: false } named ? Special(named, isSpecial: true)
        // A mask stands for a word, with the space before it.
        : new AddedToken(0, content, IsSpecial: true, TakesSpaceBefore: role == "mask_token" && ClassName is "RobertaTokenizer" or "BartTokenizer");

    /// <summary>The tokens that have a role, by their roles.</summary>
    public Dictionary<string, string> SpecialTokens() =>
        Roles.Select(role => (Role: role, Token: TokenOf(role))).Where(entry => entry.Token is not null).ToDictionary(entry => entry.Role, entry => entry.Token!);

    /// <summary>A template under a key: a text, or the one named "default" of a list.</summary>
    public string? Template(string key)
    {
        if (_configuration?.Optional(key) is not { } entry)
            return null;
        if (entry.IsString)
            return entry.AsString();
        foreach (var named in entry.Items())
        {
            if (named.Required("name").AsString() == "default")
                return named.Required("template").AsString();
        }
        throw entry.Error("has no template named \"default\"");
    }

    /// <summary>The file that names the token of a role.</summary>
    public string FileOf(string role) => ReadsSpecialTokens(role) ? TokenizerFiles.SpecialTokens : TokenizerFiles.Configuration;

    /// <summary>A token with its flags, or its text alone.</summary>
    private static AddedToken Special(JsonPart token, bool isSpecial) => token.IsString
        ? new AddedToken(0, token.AsString(), isSpecial)
        : TokenizerJson.ReadAddedToken(token, 0) with { IsSpecial = isSpecial, IsNormalized = token.Flag("normalized", otherwise: !isSpecial) };

    /// <summary>The entry of a role. The special tokens' own file comes first, but isn't read where the configuration lists the added tokens.</summary>
    private JsonPart? Entry(string role) => ReadsSpecialTokens(role) ? _specialTokens?.Optional(role) : _configuration?.Optional(role);

    private bool ReadsSpecialTokens(string role) => !ListsAddedTokens && _specialTokens?.Mentions(role) == true;
}
