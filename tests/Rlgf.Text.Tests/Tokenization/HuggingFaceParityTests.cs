using Rlgf.Text.Tests.Data;
using Rlgf.Text.Tokenization;

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

    [Fact]
    public void Vocabulary_and_merges_alone_give_the_same_ids_as_tokenizer_json()
    {
        using var folder = new TemporaryFolder();
        foreach (var file in (string[])["vocab.json", "merges.txt"])
            File.Copy(Path.Combine(TokenizerFixtures.FolderOf("gpt2"), file), Path.Combine(folder.Path, file));
        var tokenizer = TokenizerFolder.Load(folder.Path);

        Assert.Equal(tokenizer.IdOf("<|endoftext|>"), tokenizer.EosId);
        Assert.All(TokenizerFixtures.Cases("gpt2").Cases, expected =>
        {
            Assert.Equal(expected.Ids, tokenizer.Encode(expected.Text));
            Assert.Equal(expected.DecodeSkipSpecial, tokenizer.Decode(expected.IdsSpecial));
        });
    }

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void Saving_writes_files_that_load_to_the_same_tokenizer(string name)
    {
        using var folder = new TemporaryFolder();
        TokenizerFixtures.Load(name).Save(folder.Path);
        var saved = TokenizerFolder.Load(folder.Path);
        Assert.All(TokenizerFixtures.Cases(name).Cases, expected => Assert.Equal(expected.IdsSpecial, saved.Encode(expected.Text, addSpecialTokens: true)));
    }

    [Theory]
    [MemberData(nameof(Tokenizers))]
    public void Several_threads_get_the_same_ids(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        var cases = TokenizerFixtures.Cases(name).Cases;
        Parallel.For(0, 400, i => Assert.Equal(cases[i % cases.Length].Ids, tokenizer.Encode(cases[i % cases.Length].Text)));
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("gpt2_reward")]
    [InlineData("gpt_neox")]
    [InlineData("opt")]
    [InlineData("llama3_rope")]
    [InlineData("qwen2")]
    public void The_tokenizers_of_the_shared_models_load_and_give_texts_back(string name)
    {
        var tokenizer = TokenizerFolder.Load(SharedData.Require("fixtures", "models", name));
        foreach (var text in TokenizerFixtures.Cases("gpt2").Cases.Select(expected => expected.Text).Where(text => !text.Contains('\u0301', StringComparison.Ordinal) && !text.Contains('\u030A', StringComparison.Ordinal)))
            Assert.Equal(text, tokenizer.Decode(tokenizer.EncodeContinuation(text), skipSpecialTokens: false));
    }
}
