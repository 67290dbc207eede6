using System.Text;
using Rlgf.Base;
using Rlgf.Tokenizers.HuggingFace;
using Rlgf.Tokenizers.Parts;

namespace Rlgf.Tokenizers;

/// <summary>Reads the tokenizer of a model folder in the Hugging Face layout.</summary>
public static class TokenizerFolder
{
    /// <summary>
    /// Reads <c>tokenizer.json</c> or, where there is none, a sentencepiece model (<c>spiece.model</c> of T5, <c>tokenizer.model</c> of Llama), <c>vocab.json</c>
    /// with <c>merges.txt</c> (GPT-2, RoBERTa, BART, Qwen 2) or <c>vocab.txt</c> (BERT); added tokens and tokens with a role come from <c>tokenizer_config.json</c>,
    /// <c>special_tokens_map.json</c> and <c>added_tokens.json</c> too.
    /// </summary>
    /// <exception cref="InputException">A file is missing or broken, or asks for something that isn't supported; the message names the file and the key.</exception>
    public static ITokenizer Load(string folder) => Build(TokenizerFiles.Read(folder));

    /// <summary>As <see cref="Load"/>, from files that are in no folder.</summary>
    /// <param name="source">What messages call the folder.</param>
    /// <param name="files">Their contents by their names, such as <c>tokenizer.json</c>.</param>
    /// <exception cref="InputException">A file is missing or broken, or asks for something that isn't supported.</exception>
    public static ITokenizer OfFiles(string source, IReadOnlyDictionary<string, byte[]> files) => Build(TokenizerFiles.InMemory(source, new Dictionary<string, byte[]>(files)));

    /// <summary>Copies a tokenizer's files, whatever they hold, into a folder that exists.</summary>
    /// <exception cref="InputException">A file can't be read or written.</exception>
    public static void Copy(string from, string to) => TokenizerFiles.Read(from).Save(to);

    /// <summary>Whether a folder holds a tokenizer: any of the files that <see cref="Load"/> begins with.</summary>
    public static bool Exists(string folder) => TokenizerFiles.Vocabularies.Any(name => File.Exists(Path.Combine(folder, name)));

    /// <summary>Reads a folder's chat template: <c>chat_template.jinja</c>, or "chat_template" in <c>tokenizer_config.json</c>, where a list has it under the name "default".</summary>
    /// <returns>Null where the folder has none.</returns>
    /// <exception cref="InputException">A file can't be read.</exception>
    public static StoredChatTemplate? FindChatTemplate(string folder)
    {
        var files = TokenizerFiles.Read(folder, [TokenizerFiles.ChatTemplate, TokenizerFiles.Configuration, TokenizerFiles.SpecialTokens]);
        var configuration = new TokenizerConfiguration(files);
        if (files.Has(TokenizerFiles.ChatTemplate))
            return new StoredChatTemplate(files.PathOf(TokenizerFiles.ChatTemplate), Encoding.UTF8.GetString(files[TokenizerFiles.ChatTemplate]), configuration.SpecialTokens());
        return configuration.Template(StoredChatTemplate.Key) is { } text
            ? new StoredChatTemplate($"{files.PathOf(TokenizerFiles.Configuration)}: {StoredChatTemplate.Key}", text, configuration.SpecialTokens())
            : null;
    }

    /// <summary>Whether a file has the name of one that <see cref="Load"/> reads.</summary>
    public static bool IsFile(string path) => TokenizerFiles.Names.Contains(Path.GetFileName(path));

    internal static ITokenizer Build(TokenizerFiles files)
    {
        var configuration = new TokenizerConfiguration(files);
        var parts = Read(files, configuration, out var defaults);
        if (configuration.ReplacesBosAndEos)
            parts = WithBosAndEos(parts, configuration, defaults);
        return new TokenizerPipeline(
            parts with
            {
                SplitsSpecialTokens = configuration.SplitsSpecialTokens,
                BosId = IdOf("bos_token"),
                EosId = IdOf("eos_token"),
                PadId = IdOf("pad_token") ?? parts.PadId,
            },
            files);

        int? IdOf(string role) => IdOfRole(role, parts, configuration, defaults);
    }

    /// <summary>Reads the parts from the files that are there.</summary>
    /// <param name="files">The folder's files.</param>
    /// <param name="configuration">What is said beside them.</param>
    /// <param name="defaults">The tokens with a role where no file says.</param>
    private static TokenizerParts Read(TokenizerFiles files, TokenizerConfiguration configuration, out Func<string, string?> defaults)
    {
        defaults = _ => null;
        if (files.Has(TokenizerFiles.Tokenizer))
            return TokenizerJson.Read(files, configuration);

        foreach (var name in (string[])[TokenizerFiles.SentencePieces, TokenizerFiles.OtherSentencePieces])
        {
            if (files.Has(name))
            {
                var (parts, model) = SentencePieceReader.Read(files, name, configuration);
                defaults = role => SentencePieceReader.TokenOf(model, role);
                return parts;
            }
        }
        if (files.Has(TokenizerFiles.WordList) && !files.Has(TokenizerFiles.Vocabulary))
        {
            defaults = BertReader.TokenOf;
            return BertReader.Read(files, configuration);
        }
        if (!files.Has(TokenizerFiles.Vocabulary) && TokenizerFiles.UnreadSentencePieces.FirstOrDefault(files.Has) is { } unread)
            throw new InputException($"{files.PathOf(unread)}: a sentencepiece model of this name (DeBERTa v3, XLM-RoBERTa) isn't read by itself; save {TokenizerFiles.Tokenizer} beside it with the transformers library.");
        foreach (var name in (string[])[TokenizerFiles.Vocabulary, TokenizerFiles.Merges])
        {
            if (!files.Has(name))
                throw new InputException(
                    $"{files.PathOf(name)}: no such file; a tokenizer needs {TokenizerFiles.Tokenizer}, or {TokenizerFiles.Vocabulary} with {TokenizerFiles.Merges}, "
                    + $"or {TokenizerFiles.SentencePieces}, {TokenizerFiles.OtherSentencePieces} or {TokenizerFiles.WordList}.");
        }
        var roles = BpeFilesReader.RolesOf(configuration);
        defaults = role => roles.GetValueOrDefault(role);
        return BpeFilesReader.Read(files, configuration);
    }

    /// <summary>Some classes of the transformers library put begin and end tokens around texts as their configuration says, whatever <c>tokenizer.json</c> has.</summary>
    private static TokenizerParts WithBosAndEos(TokenizerParts parts, TokenizerConfiguration configuration, Func<string, string?> defaults)
    {
        return parts with
        {
            Single = new([.. Bos(0), PostProcessorReader.Text(0), .. Eos(0)]),
            Pair = new([.. Bos(0), PostProcessorReader.Text(0), .. Eos(0), .. Bos(1), PostProcessorReader.Text(1, isSecond: true), .. Eos(1)]),
        };

        TemplatePart[] Bos(int type) => configuration.AddsBos ? [Token("bos_token", type)] : [];
        TemplatePart[] Eos(int type) => configuration.AddsEos ? [Token("eos_token", type)] : [];
        TemplatePart Token(string role, int type) => PostProcessorReader.Special([IdOfRole(role, parts, configuration, defaults) ?? throw configuration.Lacks(role)], type);
    }

    private static int? IdOfRole(string role, TokenizerParts parts, TokenizerConfiguration configuration, Func<string, string?> defaults) =>
        configuration.TokenOf(role, defaults(role)) is { } content ? parts.AddedTokens.FirstOrDefault(added => added.Content == content)?.Id : null;
}
