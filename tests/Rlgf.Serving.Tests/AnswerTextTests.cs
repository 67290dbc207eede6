using Rlgf.Models.Loading;
using Rlgf.Serving.Answers;
using Rlgf.Tokenizers;

namespace Rlgf.Serving.Tests;

public sealed class AnswerTextTests
{
    private static readonly ITokenizer Tokenizer = TokenizerFolder.Load(TestServer.Fixture("llama"));

    private static StreamingDecoder Decoder() => new(Tokenizer, goesOn: true);

    [Theory]
    [InlineData("a🙂b", new string[0], "a🙂b", null)]
    [InlineData("one two three", new[] { "two" }, "one ", "two")]
    [InlineData("one two three", new[] { "three", "o t" }, "one tw", "o t")]
    [InlineData("abcabd", new[] { "abd" }, "abc", "abd")]
    [InlineData("aab", new[] { "ab" }, "a", "ab")]
    [InlineData("ab", new[] { "abc" }, "ab", null)]
    [InlineData("🙂🐱x", new[] { "🐱" }, "🙂", "🐱")]
    public void Parts_are_whole_characters_and_nothing_of_a_stop_text(string text, string[] stops, string expected, string? stop)
    {
        var answer = new AnswerText(Decoder(), stops, includesStop: false);
        var parts = All(answer, text);
        Assert.Equal(expected, string.Concat(parts));
        Assert.Equal(stop, answer.StoppedAt);
        // What was given is never taken back, and no half of a character is given.
        Assert.All(parts, part => Assert.DoesNotContain('\uFFFD', part));
    }

    [Fact]
    public void The_stop_text_stays_where_it_is_asked_for()
    {
        var answer = new AnswerText(Decoder(), ["tw"], includesStop: true);
        Assert.Equal("one tw", string.Concat(All(answer, "one two")));
    }

    private static string[] All(AnswerText answer, string text)
    {
        string[] parts = [.. Tokenizer.EncodeContinuation(text).Select(answer.Append)];
        return [.. parts, answer.Finish()];
    }
}
