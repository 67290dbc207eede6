using Rlgf.Text.Tokenization.HuggingFace;
using Rlgf.Text.Tokenization.Subwords;
using Rlgf.Text.Tokenization.Words;

namespace Rlgf.Text.Tokenization;

/// <summary>Reads the tokenizer of a model folder in the Hugging Face layout.</summary>
public static class TokenizerFolder
{
    /// <summary>GPT-2's token for the beginning and the end of a text, which its older folders don't mention.</summary>
    private const string Gpt2EndOfText = "<|endoftext|>";

    /// <summary>The roles of special tokens, in the order in which the transformers library adds those that are missing.</summary>
    private static readonly string[] Roles = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    /// <summary>
    /// Reads <c>tokenizer.json</c> or, where there is none, <c>vocab.json</c> and <c>merges.txt</c> as GPT-2 wrote them; the tokens with a role come from
    /// <c>tokenizer_config.json</c> or <c>special_tokens_map.json</c>.
    /// </summary>
    /// <exception cref="InputException">A file is missing or broken, or asks for something that isn't supported; the message names the file and the key.</exception>
    public static ITokenizer Load(string folder) => Build(TokenizerFiles.Read(folder));

    internal static ITokenizer Build(TokenizerFiles files)
    {
        var configuration = new TokenizerConfiguration(files);
        if (files.Has(TokenizerFiles.Tokenizer))
        {
            var parts = TokenizerJson.Read(JsonPart.Parse(files.PathOf(TokenizerFiles.Tokenizer), files[TokenizerFiles.Tokenizer]));
            return new TokenizerPipeline(WithRoles(parts, configuration, defaultToken: null), files);
        }
        return new TokenizerPipeline(ReadGpt2(files, configuration), files);
    }

    private static TokenizerParts ReadGpt2(TokenizerFiles files, TokenizerConfiguration configuration)
    {
        foreach (var name in (string[])[TokenizerFiles.Vocabulary, TokenizerFiles.Merges])
        {
            if (!files.Has(name))
                throw new InputException($"{files.PathOf(name)}: no such file; a tokenizer needs {TokenizerFiles.Tokenizer}, or {TokenizerFiles.Vocabulary} with {TokenizerFiles.Merges}.");
        }
        if (configuration.ClassName is not (null or "GPT2Tokenizer"))
            throw new InputException($"{files.PathOf(TokenizerFiles.Configuration)}: tokenizer_class \"{configuration.ClassName}\" can't be read without {TokenizerFiles.Tokenizer}; save that file with the transformers library.");

        var vocabulary = BpeVocabulary.ReadVocabulary(JsonPart.Parse(files.PathOf(TokenizerFiles.Vocabulary), files[TokenizerFiles.Vocabulary]));
        var merges = BpeVocabulary.Check(BpeVocabulary.ReadMerges(files.PathOf(TokenizerFiles.Merges), files[TokenizerFiles.Merges]), vocabulary);
        var added = configuration.AddedTokens().ToList();
        if (files.Has(TokenizerFiles.AddedTokens))
        {
            foreach (var (token, id) in JsonPart.Parse(files.PathOf(TokenizerFiles.AddedTokens), files[TokenizerFiles.AddedTokens]).Members())
            {
                if (!added.Exists(known => known.Content == token))
                    added.Add(new AddedToken(id.AsId(), token, IsSpecial: false, IsNormalized: true));
            }
        }
        AddMissingRoles(added, vocabulary, configuration);
        var parts = WithRoles(
            new TokenizerParts
            {
                AddedTokens = added,
                PreTokenizer = new PatternPreTokenizer(new Gpt2Pattern()),
                Model = new ByteLevelBpe(vocabulary, merges, unknownId: null, ignoreMerges: false),
            },
            configuration,
            Gpt2EndOfText);
        return configuration.AddsBos && parts.BosId is { } bos ? parts with { Prefix = [bos] } : parts;
    }

    /// <summary>A token with a role is special even where no file lists it, and gets the next id where the vocabulary lacks it.</summary>
    private static void AddMissingRoles(List<AddedToken> added, Dictionary<string, int> vocabulary, TokenizerConfiguration configuration)
    {
        foreach (var role in Roles)
        {
            var content = configuration.TokenOf(role, role is "bos_token" or "eos_token" or "unk_token" ? Gpt2EndOfText : null);
            if (content is null || added.Exists(token => token.Content == content))
                continue;
            var next = vocabulary.Values.Concat(added.Select(token => token.Id)).Max() + 1;
            added.Add(new AddedToken(vocabulary.TryGetValue(content, out var id) ? id : next, content, IsSpecial: true));
        }
    }

    private static TokenizerParts WithRoles(TokenizerParts parts, TokenizerConfiguration configuration, string? defaultToken)
    {
        return parts with
        {
            // The configuration is asked last by the transformers library too.
            AddsPrefixSpace = configuration.AddsPrefixSpace ?? parts.AddsPrefixSpace,
            BosId = configuration.IdOf("bos_token", IdOf, defaultToken),
            EosId = configuration.IdOf("eos_token", IdOf, defaultToken),
            PadId = configuration.IdOf("pad_token", IdOf),
        };

        int? IdOf(string token) =>
            parts.AddedTokens.FirstOrDefault(added => added.Content == token)?.Id ?? (parts.Model.Vocabulary.TryGetValue(token, out var id) ? id : null);
    }
}
