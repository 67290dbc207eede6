using Rlgf.Base;
using Rlgf.Models.Generation;
using Rlgf.Tokenizers;

namespace Rlgf.Models.Tests.Generation;

public sealed class StopTextTests
{
    private static readonly ITokenizer Tokenizer = TokenizerFolder.Load(Fixture.PathOf("gpt2"));

    [Theory]
    [InlineData("a good film. It is", "film", "a good film")]
    [InlineData("a good film. It is", "d f", "a good f")]
    [InlineData("a good film. It is", "never", "a good film. It is")]
    [InlineData("naïve café, so", "é,", "naïve café,")]
    public void A_response_ends_where_it_holds_a_stop_text(string whole, string stop, string expected)
    {
        var tokens = Tokenizer.Encode(whole);
        using var model = Writes(tokens);

        var row = TextGenerator.Generate(model, [Request], Greedy(tokens.Length), 0, new StopTexts(["zzz", stop], Tokenizer), default)[0];

        // A token that ends beyond the stop text stays whole.
        var text = Tokenizer.Decode(row.Tokens);
        Assert.StartsWith(expected, text, StringComparison.Ordinal);
        Assert.DoesNotContain(stop, Tokenizer.Decode(row.Tokens.AsSpan(..^1)), StringComparison.Ordinal);
        Assert.Equal(expected != whole, row.Stopped);
        Assert.False(row.Ended);
    }

    [Fact]
    public void A_beam_search_ends_there_too_and_a_stop_text_in_the_prompt_does_not_count()
    {
        var tokens = Tokenizer.Encode("a good film. It is");
        using var model = Writes(tokens);
        var settings = Greedy(tokens.Length) with { Greedy = false, Beams = new BeamSettings { Width = 2 } };
        var request = Request with { Row = new TokenRow(Tokenizer.Encode("film"), []) };

        var row = TextGenerator.Generate(model, [request], settings, 0, new StopTexts(["film"], Tokenizer), default)[0];

        Assert.EndsWith("film", Tokenizer.Decode(row.Tokens), StringComparison.Ordinal);
        Assert.True(row.Stopped);
        Assert.StartsWith("a good", Tokenizer.Decode(row.Tokens), StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_stop_text_is_refused() => Assert.Throws<InputException>(() => new StopTexts(["a", ""], Tokenizer));

    private static GenerationRequest Request => new(new TokenRow([0], []), 0);

    private static SamplingSettings Greedy(int most) => new() { MaxNewTokens = most, Greedy = true };

    /// <summary>A model that writes certain tokens after a prompt of any length: one at each place, counted from the row's end backwards through what it wrote itself.</summary>
    private static TabularLanguageModel Writes(int[] tokens) => new(Tokenizer.VocabularySize, row =>
    {
        // What of the row is the beginning of the tokens is what was written.
        var written = Enumerable.Range(0, Math.Min(row.Count, tokens.Length)).Last(count => row.Skip(row.Count - count).SequenceEqual(tokens[..count]));
        var logits = new float[Tokenizer.VocabularySize];
        logits[tokens[written]] = 20;
        return logits;
    });
}
