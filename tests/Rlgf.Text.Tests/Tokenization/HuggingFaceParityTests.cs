using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Text.Tests.Data;
using Rlgf.Tokenizers;

namespace Rlgf.Text.Tests.Tokenization;

public sealed class HuggingFaceParityTests
{
    public static TheoryData<string> Tokenizers => [.. TokenizerFixtures.Names];

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void Ids_are_those_of_the_transformers_library(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        Assert.All(TokenizerFixtures.Cases(name).Cases, expected =>
        {
            Assert.Equal(expected.Ids, tokenizer.Encode(expected.Text));
            Assert.Equal(expected.IdsSpecial, tokenizer.Encode(expected.Text, addSpecialTokens: true));
        });
    }

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void Tokens_and_offsets_are_those_of_the_transformers_library(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        Assert.All(TokenizerFixtures.Cases(name).Cases, expected =>
        {
            var encoded = tokenizer.EncodeWithOffsets(expected.Text);
            Assert.Equal(expected.Ids, encoded.Ids);
            Assert.Equal(expected.Tokens, encoded.Tokens);
            Assert.Equal(expected.Offsets.Select(offset => (offset[0], offset[1])), encoded.Offsets);
        });
    }

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void Decoding_is_that_of_the_transformers_library(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        Assert.All(TokenizerFixtures.Cases(name).Cases, expected =>
        {
            Assert.Equal(expected.Decode, tokenizer.Decode(expected.IdsSpecial, skipSpecialTokens: false));
            Assert.Equal(expected.DecodeSkipSpecial, tokenizer.Decode(expected.IdsSpecial));
            Assert.Equal(expected.DecodeIds, tokenizer.Decode(expected.Ids, skipSpecialTokens: false));
        });
    }

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void Pairs_are_those_of_the_transformers_library(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        Assert.All(TokenizerFixtures.Cases(name).Pairs, expected =>
        {
            var input = tokenizer.EncodeInput(expected.First, expected.Second);
            Assert.Equal(expected.IdsSpecial, input.Ids);
            Assert.Equal(expected.TypeIds, input.TypeIds);
        });
    }

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void Size_and_tokens_with_a_role_are_those_of_the_transformers_library(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        var expected = TokenizerFixtures.Cases(name);
        Assert.Equal(expected.VocabularySize, tokenizer.VocabularySize);
        Assert.Equal(Expected("bos"), tokenizer.BosId);
        Assert.Equal(Expected("eos"), tokenizer.EosId);
        Assert.Equal(Expected("pad"), tokenizer.PadId);

        int? Expected(string role) => expected.SpecialIds.TryGetValue(role, out var id) ? id : null;
    }

    /// <summary>Folders without tokenizer.json, as older checkpoints are, with their configuration and without.</summary>
    public static TheoryData<string, string[]> OlderFolders => new()
    {
        { "gpt2", ["vocab.json", "merges.txt"] },
        { "gpt2", ["vocab.json", "merges.txt", "tokenizer_config.json"] },
        { "roberta", ["vocab.json", "merges.txt", "tokenizer_config.json"] },
        { "t5", ["spiece.model", "tokenizer_config.json"] },
        { "llama2_metaspace", ["tokenizer.model", "tokenizer_config.json"] },
        { "llama2", ["tokenizer.model"] },
        { "bert_uncased", ["vocab.txt"] },
        { "bert_uncased", ["vocab.txt", "tokenizer_config.json"] },
        { "bert_cased", ["vocab.txt", "tokenizer_config.json"] },
    };

    [Theory]
    [MemberData(nameof(OlderFolders))]
    public void Vocabularies_alone_give_the_same_ids_as_tokenizer_json(string name, string[] files)
    {
        using var folder = new TemporaryFolder();
        foreach (var file in files)
            File.Copy(Path.Combine(TokenizerFixtures.FolderOf(name), file), Path.Combine(folder.Path, file));
        var tokenizer = TokenizerFolder.Load(folder.Path);
        var whole = TokenizerFixtures.Load(name);
        var hasConfiguration = files.Contains("tokenizer_config.json");

        Assert.Equal(whole.VocabularySize, tokenizer.VocabularySize);
        if (hasConfiguration)
            Assert.Equal((whole.BosId, whole.EosId, whole.PadId), (tokenizer.BosId, tokenizer.EosId, tokenizer.PadId));
        Assert.All(TokenizerFixtures.Cases(name).Cases, expected =>
        {
            Assert.Equal(expected.Ids, tokenizer.Encode(expected.Text));
            Assert.Equal(expected.IdsSpecial, tokenizer.Encode(expected.Text, addSpecialTokens: true));
            Assert.Equal(expected.Offsets.Select(offset => (offset[0], offset[1])), tokenizer.EncodeWithOffsets(expected.Text).Offsets);
            if (hasConfiguration || !name.StartsWith("bert", StringComparison.Ordinal))
                Assert.Equal(expected.DecodeSkipSpecial, tokenizer.Decode(expected.IdsSpecial));
        });
        Assert.All(TokenizerFixtures.Cases(name).Pairs, expected =>
        {
            var input = tokenizer.EncodeInput(expected.First, expected.Second);
            Assert.Equal(expected.IdsSpecial, input.Ids);
            Assert.Equal(expected.TypeIds, input.TypeIds);
        });
    }

    [Fact]
    public void Qwens_vocabulary_and_merges_need_the_ids_of_its_special_tokens()
    {
        using var folder = new TemporaryFolder();
        foreach (var file in (string[])["vocab.json", "merges.txt", "tokenizer_config.json"])
            File.Copy(Path.Combine(TokenizerFixtures.FolderOf("qwen2"), file), Path.Combine(folder.Path, file));
        var error = Assert.Throws<InputException>(() => TokenizerFolder.Load(folder.Path));
        Assert.Contains("tokenizer_config.json: has eos_token \"<|im_end|>\", but neither", error.Message, StringComparison.Ordinal);

        // As version 4 of the transformers library wrote it.
        var configuration = JsonNode.Parse(File.ReadAllText(Path.Combine(folder.Path, "tokenizer_config.json")))!;
        var added = JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf("qwen2"), "tokenizer.json")))!["added_tokens"]!.AsArray();
        configuration["added_tokens_decoder"] = new JsonObject(added.Select(token => KeyValuePair.Create(token!["id"]!.ToString(), (JsonNode?)token.DeepClone())));
        folder.Write("tokenizer_config.json", configuration.ToJsonString());
        var tokenizer = TokenizerFolder.Load(folder.Path);
        Assert.All(TokenizerFixtures.Cases("qwen2").Cases, expected => Assert.Equal(expected.IdsSpecial, tokenizer.Encode(expected.Text, addSpecialTokens: true)));
    }

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void Saving_writes_files_that_load_to_the_same_tokenizer(string name)
    {
        using var folder = new TemporaryFolder();
        TokenizerFixtures.Load(name).Save(folder.Path);
        // The configuration is written in the form that older readers understand (below).
        string[] beside = ["cases.json", "chat.json", "tokenizer_config.json"];
        foreach (var file in Directory.GetFiles(TokenizerFixtures.FolderOf(name)).Where(file => !beside.Contains(Path.GetFileName(file))))
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(folder.Path, Path.GetFileName(file))));
        var saved = TokenizerFolder.Load(folder.Path);
        Assert.All(TokenizerFixtures.Cases(name).Cases, expected => Assert.Equal(expected.IdsSpecial, saved.Encode(expected.Text, addSpecialTokens: true)));
    }

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void A_saved_configuration_has_no_name_that_only_the_newest_reader_knows(string name)
    {
        using var folder = new TemporaryFolder();
        TokenizerFixtures.Load(name).Save(folder.Path);
        var original = JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf(name), "tokenizer_config.json")))!.AsObject();
        var saved = JsonNode.Parse(File.ReadAllText(Path.Combine(folder.Path, "tokenizer_config.json")))!.AsObject();
        Assert.NotEqual("TokenizersBackend", (string?)saved["tokenizer_class"]);
        Assert.IsNotType<JsonArray>(saved["extra_special_tokens"], exactMatch: false);
        foreach (var (key, value) in original)
        {
            if (key == "extra_special_tokens") Assert.True(JsonNode.DeepEquals(value, saved["additional_special_tokens"]));
            else if (key != "tokenizer_class" || (string?)value != "TokenizersBackend") Assert.True(JsonNode.DeepEquals(value, saved[key]), key);
        }
    }

    [Theory]
    [InlineData("tokenizer.json")]
    [InlineData("tokenizer_config.json")]
    [InlineData("merges.txt")]
    public void A_pointer_of_git_lfs_in_place_of_a_file_is_called_one(string file)
    {
        using var folder = new TemporaryFolder();
        TokenizerFixtures.Load("gpt2").Save(folder.Path);
        File.WriteAllText(Path.Combine(folder.Path, file), "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 2104556\n");
        var fault = Assert.Throws<InputException>(() => TokenizerFolder.Load(folder.Path));
        Assert.Contains($"{file}: it is a git-LFS pointer", fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void Several_threads_get_the_same_ids(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        var cases = TokenizerFixtures.Cases(name).Cases;
        Parallel.For(0, 400, i => Assert.Equal(cases[i % cases.Length].Ids, tokenizer.Encode(cases[i % cases.Length].Text)));
    }

    [Fact]
    public void The_tokenizers_of_all_shared_models_give_the_ids_that_their_expectations_are_about()
    {
        var models = Directory.GetDirectories(SharedData.Require("fixtures", "models")).Where(folder => File.Exists(Path.Combine(folder, "tokenizer.json"))).ToArray();
        Assert.True(models.Length >= 18);
        Assert.All(models, folder =>
        {
            var tokenizer = TokenizerFolder.Load(folder);
            var expected = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "expected.json")))!;
            var texts = (expected["prompts"] ?? expected["inputs"] ?? expected["texts"])!.AsArray();
            var batch = expected["right_padded"]!;
            for (var row = 0; row < texts.Count; row++)
                Assert.Equal(Unpadded(batch, "input_ids", row), tokenizer.Encode((string)texts[row]!, addSpecialTokens: true));
            for (var row = 0; expected["pairs"] is { } pairs && row < pairs["texts"]!.AsArray().Count; row++)
            {
                var input = tokenizer.EncodeInput((string)pairs["texts"]![row]![0]!, (string)pairs["texts"]![row]![1]!);
                Assert.Equal(Unpadded(pairs, "input_ids", row), input.Ids);
                if (pairs["token_type_ids"] is not null)
                    Assert.Equal(Unpadded(pairs, "token_type_ids", row), input.TypeIds);
            }
        });

        static int[] Unpadded(JsonNode batch, string key, int row) =>
            [.. batch[key]![row]!.AsArray().Zip(batch["attention_mask"]![row]!.AsArray()).Where(pair => (int)pair.Second! == 1).Select(pair => (int)pair.First!)];
    }

    [Fact]
    public void The_whole_shared_set_of_tokenizers_is_the_set_tested_here()
        => Assert.Equal(TokenizerFixtures.Names.Order(), Directory.GetDirectories(SharedData.Require("fixtures", "tokenizers")).Select(Path.GetFileName).Order());
}
