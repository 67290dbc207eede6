using System.Text.Json.Nodes;
using Rlgf.Text.Tests.Data;
using Rlgf.Tokenizers;

namespace Rlgf.Text.Tests.Tokenization;

public sealed class AddedTokenTests
{
    [Theory]
    [InlineData("a <x> b", "a|Ġ|<x>|Ġb", "")]
    [InlineData("a <x> b", "a|<x>|Ġb", "lstrip")]
    [InlineData("a <x> b", "a|Ġ|<x>|b", "rstrip")]
    [InlineData("a  <x>  <x> b", "a|<x>|<x>|b", "lstrip,rstrip")]
    [InlineData("a<x>", "a|<|x|>", "single_word")]
    [InlineData("a <x>!", "a|Ġ|<x>|!", "single_word")]
    public void Added_tokens_take_spaces_and_stand_alone_as_their_flags_say(string text, string tokens, string flags)
        => Assert.Equal(tokens.Split('|'), With("<x>", flags).EncodeWithOffsets(text).Tokens);

    [Fact]
    public void The_longest_of_the_tokens_that_begin_at_one_place_is_taken()
        => Assert.Equal(["<x", "a", "<x>"], With("<x>", "", "<x").EncodeWithOffsets("<xa<x>").Tokens);

    [Fact]
    public void A_prefix_space_makes_the_first_word_like_any_other_but_not_a_continuation()
    {
        using var folder = new TemporaryFolder();
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf("roberta"), "tokenizer.json")))!;
        json["pre_tokenizer"]!["add_prefix_space"] = true;
        json["post_processor"]!["add_prefix_space"] = true;
        folder.Write("tokenizer.json", json.ToJsonString());
        var without = TokenizerFixtures.Load("roberta");
        var with = TokenizerFolder.Load(folder.Path);

        Assert.Equal(without.Encode(" the film"), with.Encode("the film"));
        Assert.Equal(without.Encode(" the film"), with.Encode(" the film"));
        Assert.Equal(without.Encode("the film"), with.EncodeContinuation("the film"));
        Assert.Equal([(0, 3), (4, 8)], with.EncodeWithOffsets("the film").Offsets);
    }

    /// <summary>The gpt2 fixture with tokens added at the end; the flags are those of the first.</summary>
    private static ITokenizer With(string token, string flags, params string[] others)
    {
        using var folder = new TemporaryFolder();
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf("gpt2"), "tokenizer.json")))!;
        var added = json["added_tokens"]!.AsArray();
        foreach (var content in (string[])[token, .. others])
        {
            var entry = new JsonObject { ["id"] = 1199 + added.Count, ["content"] = content, ["special"] = true, ["normalized"] = false };
            foreach (var flag in content == token ? flags.Split(',', StringSplitOptions.RemoveEmptyEntries) : [])
                entry[flag] = true;
            added.Add(entry);
        }
        folder.Write("tokenizer.json", json.ToJsonString());
        return TokenizerFolder.Load(folder.Path);
    }
}
