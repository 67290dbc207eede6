using System.Text;
using Rlgf.Base;
using Rlgf.Text.Data;
using Rlgf.Text.Tests.Tokenization;
using Rlgf.Tokenizers;

namespace Rlgf.Text.Tests.Data;

public sealed class PromptCutterTests
{
    private static readonly ByteTokenizer Tokenizer = new();

    [Theory]
    // One token a byte: a is 1, é is 2, 猫 is 3, 😀 is 4.
    [InlineData("aé猫😀b", 1, "a", "é猫😀b")]
    [InlineData("aé猫😀b", 2, "a", "é猫😀b")]
    [InlineData("aé猫😀b", 3, "aé", "猫😀b")]
    [InlineData("aé猫😀b", 5, "aé", "猫😀b")]
    [InlineData("aé猫😀b", 6, "aé猫", "😀b")]
    [InlineData("aé猫😀b", 9, "aé猫", "😀b")]
    [InlineData("aé猫😀b", 10, "aé猫😀", "b")]
    [InlineData("aé猫😀b", 11, "aé猫😀b", "")]
    public void A_prompt_has_at_most_so_many_tokens_and_ends_on_a_character(string text, int tokens, string prompt, string rest)
    {
        var cut = Cut(text, new() { Tokens = tokens })!;
        Assert.Equal(prompt, cut.Prompt);
        Assert.Equal(rest, cut.Rest);
        Assert.Equal(Tokenizer.Encode(prompt), cut.PromptIds);
        Assert.Equal(Tokenizer.Encode(rest), cut.RestIds);
    }

    [Fact]
    public void Texts_that_are_too_short_are_left_out()
    {
        Assert.Null(Cut("abc", new() { Tokens = 4 }));
        Assert.Null(Cut("abc", new() { Tokens = 2, MinTextTokens = 4 }));
        Assert.NotNull(Cut("abcd", new() { Tokens = 2, MinTextTokens = 4 }));
        Assert.Null(Cut("😀b", new() { Tokens = 3 }));
        Assert.Null(Cut("", new()));
    }

    [Fact]
    public void A_whole_text_is_the_prompt_and_one_that_is_too_long_is_treated_as_set()
    {
        Assert.Equal("aé猫😀b", Cut("aé猫😀b", new())!.Prompt);
        Assert.Equal("aé猫😀b", Cut("aé猫😀b", new() { MaxTokens = 11 })!.Prompt);
        var cut = Cut("aé猫😀b", new() { MaxTokens = 7, TooLong = LongPrompts.KeepEnd })!;
        Assert.Equal("😀b", cut.Prompt);
        Assert.Equal(Tokenizer.Encode("😀b"), cut.PromptIds);
        Assert.Null(Cut("aé猫😀b", new() { MaxTokens = 7, TooLong = LongPrompts.Skip }));
        Assert.Equal(
            "memory, row 1: column 'text': 11 tokens where a prompt may have 7; raise the limit, or choose to keep the end or to skip such rows",
            Assert.Throws<InputException>(() => Cut("aé猫😀b", new() { MaxTokens = 7 })).Message);
    }

    [Fact]
    public void A_prompt_has_the_special_tokens_that_its_tokenizer_puts_around_texts()
    {
        var bert = TokenizerFixtures.Load("bert_uncased");
        CutPrompt? Of(PromptSettings settings) => PromptCutter.Cut(bert, DataRow.Create("memory", 1, ("text", "it is a good film")), "text", settings);
        Assert.Equal(bert.Encode("it is a good film", addSpecialTokens: true), Of(new())!.PromptIds);
        Assert.Equal(bert.Encode("it is a", addSpecialTokens: true), Of(new() { Tokens = 3 })!.PromptIds);
        Assert.Equal(bert.Encode("good film"), Of(new() { Tokens = 3 })!.RestIds);
        Assert.Equal(bert.Encode("good film", addSpecialTokens: true), Of(new() { MaxTokens = 4, TooLong = LongPrompts.KeepEnd })!.PromptIds);
    }

    private static CutPrompt? Cut(string text, PromptSettings settings) => PromptCutter.Cut(Tokenizer, DataRow.Create("memory", 1, ("text", text)), "text", settings);

    /// <summary>One token a byte of UTF-8.</summary>
    private sealed class ByteTokenizer : ITokenizer
    {
        public int VocabularySize => 256;

        public int? BosId => null;

        public int? EosId => null;

        public int? PadId => null;

        public int[] Encode(string text, bool addSpecialTokens = false) => [.. Encoding.UTF8.GetBytes(text).Select(b => (int)b)];

        public TokenizedText EncodeWithOffsets(string text)
        {
            var offsets = new List<(int, int)>();
            var at = 0;
            foreach (var rune in text.EnumerateRunes())
            {
                offsets.AddRange(Enumerable.Repeat((at, at + rune.Utf16SequenceLength), rune.Utf8SequenceLength));
                at += rune.Utf16SequenceLength;
            }

            return new TokenizedText(Encode(text), [], [.. offsets]);
        }

        public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true) => Encoding.UTF8.GetString([.. ids.ToArray().Select(id => (byte)id)]);

        public bool EndsOnCharacter(ReadOnlySpan<int> ids) => !Decode(ids).EndsWith('\uFFFD');

        public string? TokenOf(int id) => null;

        public int? IdOf(string token) => null;

        public void Save(string folder) => throw new NotSupportedException();
    }
}
