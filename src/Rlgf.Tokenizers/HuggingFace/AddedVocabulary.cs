using Rlgf.Base;
using Rlgf.Tokenizers.Parts;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>
/// The tokens that the files of a folder add to a vocabulary, with the ids that the transformers library (5.23) gives them: a text that is there keeps its id, and
/// what is new goes on after the vocabulary, first the tokens of <c>added_tokens_decoder</c> in the order of their ids (of <c>added_tokens.json</c> where there is
/// none), then those with a role, then the other special ones.
/// </summary>
/// <remarks>
/// Files that give a text two ids or an id two texts are refused: the library takes the id that it counts itself and says nothing, so that one of them is wrong.
/// </remarks>
internal sealed class AddedVocabulary
{
    private readonly TokenizerFiles _files;
    private readonly TokenizerConfiguration _configuration;
    private readonly string _vocabularyFile;
    private readonly IReadOnlyDictionary<string, int> _vocabulary;
    private readonly int _size;
    private readonly Func<string, string?> _defaults;
    private readonly HashSet<string> _named;
    private readonly List<AddedToken> _tokens = [];
    private readonly Dictionary<string, (int Index, string File)> _added = new(StringComparer.Ordinal);
    private readonly Dictionary<int, string> _addedTexts = [];
    private Dictionary<int, string>? _vocabularyTexts;
    private int _last = -1;

    /// <summary>Begins with a vocabulary.</summary>
    /// <param name="files">The folder's files.</param>
    /// <param name="configuration">What is said beside the vocabulary.</param>
    /// <param name="vocabularyFile">The name of the vocabulary's file.</param>
    /// <param name="vocabulary">Token to id.</param>
    /// <param name="size">How many tokens the vocabulary has; the first new one gets this id.</param>
    /// <param name="defaults">The token that has a role where no file says.</param>
    public AddedVocabulary(
        TokenizerFiles files, TokenizerConfiguration configuration, string vocabularyFile, IReadOnlyDictionary<string, int> vocabulary, int size, Func<string, string?> defaults)
    {
        (_files, _configuration, _vocabulary, _size, _defaults) = (files, configuration, vocabulary, size, defaults);
        _vocabularyFile = files.PathOf(vocabularyFile);
        _named = configuration.Roles.Select(role => configuration.TokenOf(role, defaults(role))).OfType<string>().ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>The tokens so far, in the order in which they were added.</summary>
    public IReadOnlyList<AddedToken> Tokens => _tokens;

    /// <summary>Adds a token that the vocabulary's own file lists under an id.</summary>
    public void AddOwn(AddedToken token, JsonPart entry) => Add(token, _vocabularyFile, entry.Error, claimsId: true);

    /// <summary>Adds a token of the vocabulary itself.</summary>
    public void AddOwn(AddedToken token) => Put(token, _vocabularyFile);

    /// <summary>Adds what the other files list, then the tokens with a role and the other special ones.</summary>
    public IReadOnlyList<AddedToken> AddAll()
    {
        AddListed();
        AddSpecial();
        return _tokens;
    }

    /// <summary>Adds the tokens that other files list with their ids.</summary>
    public void AddListed()
    {
        var configurationFile = _files.PathOf(TokenizerFiles.Configuration);
        foreach (var (token, entry) in _configuration.AddedTokens().OrderBy(listed => listed.Token.Id))
            Add(token, configurationFile, entry.Error, claimsId: true);
        if (!_files.Has(TokenizerFiles.AddedTokens))
            return;
        var file = _files.PathOf(TokenizerFiles.AddedTokens);
        var special = _configuration.OtherSpecialTokens().Select(listed => listed.Content).Concat(_named).ToHashSet(StringComparer.Ordinal);
        var entries = JsonPart.Parse(file, _files[TokenizerFiles.AddedTokens]).Members().Select(member => (Content: member.Key, Id: member.Value.AsId(), Entry: member.Value));
        foreach (var (content, id, entry) in entries.OrderBy(member => member.Id))
        {
            if (_added.ContainsKey(content))
                RequireId(content, id, entry.Error);
            else if (_configuration.ListsAddedTokens && !_vocabulary.ContainsKey(content))
                throw entry.Error($"is a token that \"added_tokens_decoder\" of {configurationFile} lacks; add it there, or remove {file}");
            else
                Add(new AddedToken(id, content, special.Contains(content), IsNormalized: !special.Contains(content)), file, entry.Error, claimsId: true);
        }
    }

    /// <summary>Adds the special tokens that no list has; they get the next ids where the vocabulary lacks them.</summary>
    public void AddSpecial()
    {
        foreach (var role in _configuration.Roles)
        {
            var named = _files.PathOf(_configuration.FileOf(role));
            if (_configuration.SpecialTokenOf(role, _defaults(role)) is { } token && !_added.ContainsKey(token.Content))
                Add(token, named, what => new InputException($"{named}: {role} {what}."), claimsId: false);
        }
        var file = _files.PathOf(TokenizerFiles.Configuration);
        foreach (var token in _configuration.OtherSpecialTokens())
        {
            if (!_added.ContainsKey(token.Content))
                Add(token, file, what => new InputException($"{file}: \"extra_special_tokens\" {what}."), claimsId: false);
        }
    }

    /// <summary>The id of a token, if there is one of that text.</summary>
    public int? IdOf(string content) =>
        _added.TryGetValue(content, out var added) ? _tokens[added.Index].Id : _vocabulary.TryGetValue(content, out var id) ? id : null;

    private void Add(AddedToken token, string file, Func<string, InputException> error, bool claimsId)
    {
        // As the tokenizers library has it.
        if (token.Content.Length == 0)
            return;
        if (claimsId)
            RequireId(token.Content, token.Id, error);
        var id = IdOf(token.Content) ?? Next();
        if (TextOf(id) is { } other && other != token.Content)
            throw error($"has \"{token.Content}\", which would get id {id} as the vocabulary has {_size} tokens, but in {FileOf(other)} id {id} is \"{other}\"; the vocabulary's ids have gaps");
        Put(token with { Id = id }, file);
    }

    /// <summary>Makes sure that a file gives a text the id that it has, or will have.</summary>
    private void RequireId(string content, int claimed, Func<string, InputException> error)
    {
        const string End = "one of the two is wrong";
        if (IdOf(content) is { } id)
        {
            if (id != claimed)
                throw error($"gives \"{content}\" id {claimed}, but in {FileOf(content)} its id is {id}; {End}");
        }
        else if (TextOf(claimed) is { } other)
        {
            throw error($"gives \"{content}\" id {claimed}, but in {FileOf(other)} id {claimed} is \"{other}\"; {End}");
        }
        else if (claimed != Next())
        {
            throw error($"gives \"{content}\" id {claimed}, but the next id after the {_size} tokens of {_vocabularyFile} and those added to them is {Next()}; {End}");
        }
    }

    private void Put(AddedToken token, string file)
    {
        if (_added.TryGetValue(token.Content, out var known))
        {
            // What was special stays so; all else is as the later file has it.
            _tokens[known.Index] = token with { IsSpecial = token.IsSpecial || _tokens[known.Index].IsSpecial };
            return;
        }
        _added.Add(token.Content, (_tokens.Count, file));
        _addedTexts[token.Id] = token.Content;
        _last = Math.Max(_last, token.Id);
        _tokens.Add(_named.Contains(token.Content) ? token with { IsSpecial = true } : token);
    }

    private int Next() => _last >= _size ? _last + 1 : _size;

    private string? TextOf(int id)
    {
        if (_addedTexts.TryGetValue(id, out var added))
            return added;
        if (_vocabularyTexts is null)
        {
            _vocabularyTexts = new(_vocabulary.Count);
            foreach (var (text, number) in _vocabulary)
                _vocabularyTexts[number] = text;
        }
        return _vocabularyTexts.GetValueOrDefault(id);
    }

    private string FileOf(string content) => _added.TryGetValue(content, out var added) ? added.File : _vocabularyFile;
}
