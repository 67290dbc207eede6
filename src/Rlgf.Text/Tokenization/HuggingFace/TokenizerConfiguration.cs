namespace Rlgf.Text.Tokenization.HuggingFace;

/// <summary>What <c>tokenizer_config.json</c> and <c>special_tokens_map.json</c> say beyond the tokenizer itself; both may be missing.</summary>
internal sealed class TokenizerConfiguration
{
    private readonly JsonPart? _configuration;
    private readonly JsonPart? _specialTokens;

    public TokenizerConfiguration(TokenizerFiles files)
    {
        _configuration = Parse(TokenizerFiles.Configuration);
        _specialTokens = Parse(TokenizerFiles.SpecialTokens);

        JsonPart? Parse(string name) => files.Has(name) ? JsonPart.Parse(files.PathOf(name), files[name]) : null;
    }

    /// <summary>The class that wrote the folder, without "Fast".</summary>
    public string? ClassName => _configuration?.Optional("tokenizer_class")?.AsString() is { } name
        ? name.EndsWith("Fast", StringComparison.Ordinal) ? name[..^4] : name
        : null;

    /// <summary>Whether a space goes before every text, where the file says.</summary>
    public bool? AddsPrefixSpace => _configuration?.Optional("add_prefix_space")?.AsFlag();

    /// <summary>Whether every text begins with BOS, for the classes that ask the file.</summary>
    public bool AddsBos => _configuration?.Flag("add_bos_token") ?? false;

    /// <summary>Tokens added to a vocabulary that is kept in <c>vocab.json</c>.</summary>
    public IEnumerable<AddedToken> AddedTokens()
    {
        foreach (var (id, token) in _configuration?.Optional("added_tokens_decoder")?.Members() ?? [])
            yield return TokenizerJson.ReadAddedToken(token, int.TryParse(id, out var number) && number >= 0 ? number : throw token.Error("must be named by a token id"));
    }

    /// <summary>The token with a role, such as <c>"eos_token"</c>; null where none has it.</summary>
    /// <param name="role">The role's key.</param>
    /// <param name="otherwise">The token that has the role where neither file mentions it.</param>
    public string? TokenOf(string role, string? otherwise = null) => Entry(role) is { } named
        ? named.IsString ? named.AsString() : named.Required("content").AsString()
        : _configuration?.Mentions(role) == true ? null : otherwise;

    /// <summary>The id of the token with a role; null where none has it.</summary>
    /// <param name="role">The role's key.</param>
    /// <param name="idOf">The id of a token of the vocabulary.</param>
    /// <param name="otherwise">The token that has the role where neither file mentions it.</param>
    public int? IdOf(string role, Func<string, int?> idOf, string? otherwise = null)
    {
        if (TokenOf(role, otherwise) is not { } token)
            return null;
        return idOf(token) ?? (Entry(role) is { } named ? throw named.Error($"names \"{token}\", which isn't in the vocabulary") : null);
    }

    private JsonPart? Entry(string role) => _configuration?.Optional(role) ?? _specialTokens?.Optional(role);
}
