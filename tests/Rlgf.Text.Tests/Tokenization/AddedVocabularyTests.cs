using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Text.Tests.Data;
using Rlgf.Tokenizers;
using Rlgf.Tokenizers.Parts;

namespace Rlgf.Text.Tests.Tokenization;

/// <summary>
/// Added tokens in the files beside a vocabulary. The ids follow from how the transformers library counts them (version 5.23): a text of the vocabulary keeps its id,
/// the others get the next ids in the order of the lists.
/// </summary>
public sealed class AddedVocabularyTests
{
    private const string Start = "<|im_start|>", End = "<|im_end|>";

    /// <summary>A fixture, and those of its files that hold its vocabulary.</summary>
    private static readonly (string Name, string[] Files)[] Vocabularies =
    [
        ("gpt2", ["tokenizer.json"]),
        ("gpt2", ["vocab.json", "merges.txt"]),
        ("llama2", ["tokenizer.json"]),
        ("llama2", ["tokenizer.model"]),
        ("t5", ["tokenizer.json"]),
        ("t5", ["spiece.model"]),
        ("bert_cased", ["tokenizer.json"]),
        ("bert_cased", ["vocab.txt"]),
    ];

    public static TheoryData<string, string[], string> Places
    {
        get
        {
            var data = new TheoryData<string, string[], string>();
            foreach (var (name, files) in Vocabularies)
            {
                foreach (var place in (string[])["added_tokens_decoder", "additional_special_tokens", "extra_special_tokens", "added_tokens.json", "special_tokens_map.json"])
                    data.Add(name, files, place);
            }
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void Tokens_added_beside_a_vocabulary_are_tokens_with_the_next_ids(string name, string[] files, string place)
    {
        var before = Load(name, files);
        var size = before.VocabularySize;
        // This one has its end token only by its role, which comes after the lists; so they must have it too.
        var unlisted = files[0] == "vocab.json" ? "<|endoftext|>" : null;
        var tokenizer = Load(name, files, (configuration, folder) =>
        {
            switch (place)
            {
                case "added_tokens_decoder":
                    // Not in the order of their ids: that is what counts.
                    configuration[place] = new JsonObject { [$"{size + 1}"] = Token(End), [$"{size}"] = Token(Start) };
                    if (unlisted is not null)
                        configuration[place]![$"{size - 1}"] = Token(unlisted);
                    break;
                case "added_tokens.json":
                    var list = new JsonObject { [End] = size + 1, [Start] = size };
                    if (unlisted is not null)
                        list[unlisted] = size - 1;
                    folder.Write(place, list.ToJsonString());
                    configuration["additional_special_tokens"] = new JsonArray(Start, End);
                    break;
                case "special_tokens_map.json":
                    folder.Write(place, new JsonObject { ["additional_special_tokens"] = new JsonArray(Start, Token(End)) }.ToJsonString());
                    break;
                default:
                    configuration[place] = new JsonArray(Start, new JsonObject { ["__type"] = "AddedToken", ["content"] = End, ["special"] = true });
                    break;
            }
        });

        Assert.Equal(size + 2, tokenizer.VocabularySize);
        Assert.Equal((size, size + 1), (tokenizer.IdOf(Start), tokenizer.IdOf(End)));
        Assert.Equal([size, .. before.Encode("user"), size + 1], Unmarked(tokenizer.Encode($"{Start}user{End}"), before));
        Assert.Equal("user", tokenizer.Decode(tokenizer.Encode($"{Start}user{End}")).Trim());
        Assert.All(TokenizerFixtures.Cases(name).Cases.Take(40), expected => Assert.Equal(before.Encode(expected.Text), tokenizer.Encode(expected.Text)));
    }

    [Fact]
    public void Tokens_with_a_role_get_the_next_ids_in_the_order_of_the_roles_and_the_others_those_after()
    {
        var tokenizer = Load("gpt2", ["tokenizer.json"], (configuration, _) =>
        {
            configuration["additional_special_tokens"] = new JsonArray("<a>", "<mask>", "<b>");
            configuration["image_token"] = "<image>";
            configuration["mask_token"] = "<mask>";
            configuration["pad_token"] = "<pad>";
            configuration["eos_token"] = "</s>";
        });
        string[] expected = ["</s>", "<pad>", "<mask>", "<image>", "<a>", "<b>"];
        Assert.Equal(expected, Enumerable.Range(1200, 6).Select(id => tokenizer.TokenOf(id)!));
        Assert.Equal((1200, 1201), (tokenizer.EosId, tokenizer.PadId));
        Assert.Equal(1206, tokenizer.VocabularySize);
        Assert.Equal([1202, 1203], tokenizer.Encode("<mask><image>"));
    }

    [Fact]
    public void A_token_of_the_vocabulary_that_is_named_special_keeps_its_id_and_is_found_whole()
    {
        var tokenizer = Load("gpt2", ["tokenizer.json"], (configuration, _) => configuration["extra_special_tokens"] = new JsonArray("the"));
        var before = TokenizerFixtures.Load("gpt2");
        var the = before.IdOf("the")!.Value;
        Assert.Equal(before.VocabularySize, tokenizer.VocabularySize);
        Assert.Equal([the, the], tokenizer.Encode("thethe"));
        Assert.Equal("", tokenizer.Decode([the]));
        Assert.Contains(the, before.Encode("the"));
        Assert.Equal("the", before.Decode([the]));
    }

    [Fact]
    public void The_flags_are_those_of_the_list_beside_the_vocabulary()
    {
        static ITokenizer With(params string[] flags) => Load("gpt2", ["tokenizer.json"], (configuration, _) =>
        {
            var token = Token(End);
            foreach (var flag in flags)
                token[flag] = true;
            configuration["added_tokens_decoder"] = new JsonObject { ["1200"] = token };
        });

        string[] Tokens(ITokenizer tokenizer, string text) => tokenizer.EncodeWithOffsets(text).Tokens;
        Assert.Equal(["a", "Ġ", End, "Ġb"], Tokens(With(), $"a {End} b"));
        Assert.Equal(["a", End, "Ġb"], Tokens(With("lstrip"), $"a {End} b"));
        Assert.Equal(["a", "Ġ", End, "b"], Tokens(With("rstrip"), $"a {End} b"));
        Assert.DoesNotContain(End, Tokens(With("single_word"), $"a{End}"));

        // A token of tokenizer.json that the configuration lists with other flags.
        var relisted = Load("gpt2", ["tokenizer.json"], (configuration, _) =>
        {
            var token = Token("<|endoftext|>");
            token["lstrip"] = true;
            configuration["added_tokens_decoder"] = new JsonObject { [$"{TokenizerFixtures.Load("gpt2").EosId}"] = token };
        });
        Assert.Equal(["a", "<|endoftext|>"], Tokens(relisted, "a <|endoftext|>"));
    }

    [Fact]
    public void A_token_that_is_not_special_is_written_and_one_with_a_role_is_not()
    {
        var tokenizer = Load("gpt2", ["tokenizer.json"], (configuration, _) =>
        {
            JsonObject Plain(string content) => new() { ["content"] = content, ["special"] = false, ["normalized"] = true };
            configuration["added_tokens_decoder"] = new JsonObject { ["1200"] = Plain("<tool>"), ["1201"] = Plain(End) };
            configuration["eos_token"] = End;
        });
        Assert.Equal([1200, 1201], tokenizer.Encode($"<tool>{End}"));
        Assert.Equal("<tool>", tokenizer.Decode([1200, 1201]));
    }

    [Theory]
    [InlineData(false, "<map>")] // the file of the special tokens comes first
    [InlineData(true, "<configuration>")] // and isn't read where the configuration lists the added tokens
    public void Which_file_says_the_role_depends_on_whether_the_configuration_lists_the_added_tokens(bool lists, string expected)
    {
        var tokenizer = Load("gpt2", ["tokenizer.json"], (configuration, folder) =>
        {
            configuration["eos_token"] = "<configuration>";
            if (lists)
                configuration["added_tokens_decoder"] = new JsonObject { ["1200"] = Token("<configuration>"), ["1201"] = Token("<map>") };
            folder.Write("special_tokens_map.json", """{"eos_token": {"content": "<map>", "lstrip": false}}""");
        });
        Assert.Equal(expected, tokenizer.TokenOf(tokenizer.EosId!.Value));
    }

    [Theory]
    // One text, two ids.
    [InlineData("""{"added_tokens_decoder": {"1200": {"content": "the"}}}""", null,
        "tokenizer_config.json: added_tokens_decoder.1200 gives \"the\" id 1200, but in {0}tokenizer.json its id is {the}; one of the two is wrong.")]
    [InlineData("""{"added_tokens_decoder": {"1200": {"content": "<x>"}, "1201": {"content": "<x>"}}}""", null,
        "tokenizer_config.json: added_tokens_decoder.1201 gives \"<x>\" id 1201, but in {0}tokenizer_config.json its id is 1200; one of the two is wrong.")]
    [InlineData("""{"added_tokens_decoder": {"1200": {"content": "<x>"}}}""", """{"<x>": 1201}""",
        "added_tokens.json: <x> gives \"<x>\" id 1201, but in {0}tokenizer_config.json its id is 1200; one of the two is wrong.")]
    // One id, two texts.
    [InlineData("""{"added_tokens_decoder": {"5": {"content": "<x>"}}}""", null,
        "tokenizer_config.json: added_tokens_decoder.5 gives \"<x>\" id 5, but in {0}tokenizer.json id 5 is \"{5}\"; one of the two is wrong.")]
    [InlineData("{}", """{"<x>": 5}""",
        "added_tokens.json: <x> gives \"<x>\" id 5, but in {0}tokenizer.json id 5 is \"{5}\"; one of the two is wrong.")]
    // An id that the library would not give.
    [InlineData("""{"added_tokens_decoder": {"1300": {"content": "<x>"}}}""", null,
        "tokenizer_config.json: added_tokens_decoder.1300 gives \"<x>\" id 1300, but the next id after the {size} tokens of {0}tokenizer.json and those added to them is 1200; one of the two is wrong.")]
    // A list that the library would not read.
    [InlineData("""{"added_tokens_decoder": {"1200": {"content": "<x>"}}}""", """{"<y>": 1201}""",
        "added_tokens.json: <y> is a token that \"added_tokens_decoder\" of {0}tokenizer_config.json lacks; add it there, or remove {0}added_tokens.json.")]
    [InlineData("""{"added_tokens_decoder": {"first": {"content": "<x>"}}}""", null, "tokenizer_config.json: added_tokens_decoder.first must be named by a token id.")]
    [InlineData("""{"added_tokens_decoder": {"1200": {"lstrip": false}}}""", null, "tokenizer_config.json: added_tokens_decoder.1200 lacks \"content\".")]
    [InlineData("""{"additional_special_tokens": [7]}""", null, "tokenizer_config.json: additional_special_tokens[0] must be an object.")]
    [InlineData("""{"eos_token": 7}""", null, "tokenizer_config.json: eos_token must be an object.")]
    public void A_contradiction_between_files_is_named(string configuration, string? addedTokens, string message)
    {
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(TokenizerFixtures.FolderOf("gpt2"), "tokenizer.json"), Path.Combine(folder.Path, "tokenizer.json"));
        folder.Write("tokenizer_config.json", configuration);
        if (addedTokens is not null)
            folder.Write("added_tokens.json", addedTokens);
        var gpt2 = TokenizerFixtures.Load("gpt2");
        var vocabulary = JsonNode.Parse(File.ReadAllText(Path.Combine(folder.Path, "tokenizer.json")))!["model"]!["vocab"]!.AsObject().Count;
        message = message.Replace("{0}", folder.Path + Path.DirectorySeparatorChar, StringComparison.Ordinal)
            .Replace("{the}", $"{gpt2.IdOf("the")}", StringComparison.Ordinal).Replace("{5}", gpt2.TokenOf(5), StringComparison.Ordinal).Replace("{size}", $"{vocabulary}", StringComparison.Ordinal);
        var error = Assert.Throws<InputException>(() => TokenizerFolder.Load(folder.Path));
        Assert.Equal(Path.Combine(folder.Path, message), error.Message);
    }

    [Fact]
    public void A_contradiction_within_tokenizer_json_is_named()
    {
        using var folder = new TemporaryFolder();
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf("gpt2"), "tokenizer.json")))!;
        json["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = 4000, ["content"] = "<x>", ["special"] = true });
        folder.Write("tokenizer.json", json.ToJsonString());
        var error = Assert.Throws<InputException>(() => TokenizerFolder.Load(folder.Path));
        Assert.Contains("tokenizer.json: added_tokens[1] gives \"<x>\" id 4000, but the next id after the", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_vocabulary_with_gaps_can_not_be_added_to_where_the_next_id_is_taken()
    {
        using var folder = new TemporaryFolder();
        folder.Write("vocab.json", """{"a": 0, "b": 3, "<|endoftext|>": 1}""");
        folder.Write("merges.txt", "#version: 0.2\n");
        folder.Write("tokenizer_config.json", """{"pad_token": "<pad>", "eos_token": "<|endoftext|>"}""");
        // The library counts three tokens, and so gives id 3 a second time.
        var error = Assert.Throws<InputException>(() => TokenizerFolder.Load(folder.Path));
        Assert.Contains("tokenizer_config.json: pad_token has \"<pad>\", which would get id 3 as the vocabulary has 3 tokens, but in", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("vocab.json id 3 is \"b\"; the vocabulary's ids have gaps.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Special_tokens_are_plain_text_where_the_configuration_splits_them()
    {
        var tokenizer = Load("gpt2", ["tokenizer.json"], (configuration, _) => configuration["split_special_tokens"] = true);
        var before = TokenizerFixtures.Load("gpt2");
        Assert.Equal([before.EosId!.Value], before.Encode("<|endoftext|>"));
        Assert.Equal(before.EncodeContinuation("<|endoftext|>"), tokenizer.Encode("<|endoftext|>"));
    }

    private static JsonObject Token(string content) => new()
    {
        ["content"] = content, ["lstrip"] = false, ["normalized"] = false, ["rstrip"] = false, ["single_word"] = false, ["special"] = true,
    };

    /// <summary>Ids without the mark of a text's beginning, which some vocabularies put before what follows a special token.</summary>
    private static int[] Unmarked(int[] ids, ITokenizer tokenizer)
    {
        var mark = tokenizer.IdOf("▁");
        return ids.Length > 1 && ids[1] == mark && tokenizer.Encode("user")[0] != mark ? [ids[0], .. ids[2..]] : ids;
    }

    /// <summary>Some files of a fixture, with its configuration changed.</summary>
    private static ITokenizer Load(string name, string[] files, Action<JsonObject, TemporaryFolder>? change = null)
    {
        using var folder = new TemporaryFolder();
        foreach (var file in files)
            File.Copy(Path.Combine(TokenizerFixtures.FolderOf(name), file), Path.Combine(folder.Path, file));
        var configuration = JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf(name), "tokenizer_config.json")))!.AsObject();
        if (configuration["extra_special_tokens"] is not null && change is not null)
            configuration.Remove("extra_special_tokens");
        change?.Invoke(configuration, folder);
        folder.Write("tokenizer_config.json", configuration.ToJsonString());
        return TokenizerFolder.Load(folder.Path);
    }
}
