using Rlgf.Base;
using Rlgf.Models.Generation;

namespace Rlgf.Models.Tests.Generation;

/// <summary>Beam search where everything can be enumerated.</summary>
public sealed class BeamSearchTests
{
    private const int Vocabulary = 4;
    private const int End = 3;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Beams_that_hold_every_beginning_find_the_best_responses_of_all(double lengthPenalty)
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);
        var settings = Settings(width: 81) with { Beams = new BeamSettings { Width = 81, LengthPenalty = lengthPenalty, Stop = BeamStop.WhenImpossible } };

        var found = BeamSearch.Search(model, [new GenerationRequest(new TokenRow([1, 2], []), 0)], settings, wanted: 20)[0];

        var all = Responses(model, [1, 2], 3).OrderByDescending(response => response.LogProb / Math.Pow(response.Tokens.Length, lengthPenalty)).Take(20).ToArray();
        Assert.Equal(all.Select(response => response.Tokens), found.Select(one => one.Row.Tokens));
        foreach (var (response, one) in all.Zip(found))
        {
            Assert.Equal(response.LogProb / Math.Pow(response.Tokens.Length, lengthPenalty), one.Score, 1e-4);
            Assert.Equal(response.LogProb, one.Row.RawLogProbs.Sum(), 1e-4);
            Assert.Equal(response.Tokens[^1] == End, one.Row.Ended);
        }
    }

    [Fact]
    public void A_row_finds_the_same_alone_and_in_any_batch_with_a_limit_of_its_own()
    {
        using var model = TabularLanguageModel.OfWholeHistory(11);
        var settings = new SamplingSettings { MaxNewTokens = 8, EndTokens = [4], Beams = new BeamSettings { Width = 3 }, BatchRows = 6 };
        GenerationRequest[] requests =
        [
            new(new TokenRow([1, 2, 3], []), 0), new(new TokenRow([5], []), 1), new(new TokenRow([1, 2], [3, 6]), 2, MaxNewTokens: 4), new(new TokenRow([9], []), 3, MaxNewTokens: 0), new(new TokenRow([5], []), 4),
        ];

        var together = BeamSearch.Search(model, requests, settings, wanted: 3);

        Assert.Equal(together[1].Select(one => one.Row.Tokens), together[4].Select(one => one.Row.Tokens));
        Assert.Empty(Assert.Single(together[3]).Row.Tokens);
        Assert.All(together[2], one => Assert.InRange(one.Row.Tokens.Length, 1, 4));
        for (var i = 0; i < requests.Length; i++)
            Assert.Equal(together[i].Select(one => one.Row.Tokens), BeamSearch.Search(model, [requests[i]], settings with { BatchRows = 1 }, wanted: 3)[0].Select(one => one.Row.Tokens));

        // The generator gives the best of each.
        Assert.Equal(together.Select(found => found[0].Row.Tokens), TextGenerator.Generate(model, requests, settings, seed: 1).Select(row => row.Tokens));
    }

    [Fact]
    public void Fewer_responses_than_wanted_come_where_no_more_are_possible()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);
        // Only 0 can be written, and the end token last.
        var settings = Settings(width: 3) with { ForbiddenSequences = [[1], [2]], MinNewTokens = 2, ForcedLastToken = End };

        var found = BeamSearch.Search(model, [new GenerationRequest(new TokenRow([1], []), 0)], settings, wanted: 3)[0];

        Assert.Equal([0, 0, End], Assert.Single(found).Row.Tokens);
    }

    [Fact]
    public void Logits_that_are_no_numbers_are_reported()
    {
        using var model = new TabularLanguageModel(Vocabulary, _ => [0, float.NaN, 1, 0]);
        Assert.Contains("not numbers", Assert.Throws<InputException>(() => BeamSearch.Search(model, [new GenerationRequest(new TokenRow([1], []), 0)], Settings(2))).Message, StringComparison.Ordinal);
    }

    private static SamplingSettings Settings(int width) => new() { MaxNewTokens = 3, EndTokens = [End], Beams = new BeamSettings { Width = width } };

    /// <summary>Every response of at most so many tokens with the sum of its log-probabilities.</summary>
    private static IEnumerable<(int[] Tokens, double LogProb)> Responses(TabularLanguageModel model, int[] row, int most)
    {
        var logits = model.NextLogitsOf(row);
        var normaliser = Math.Log(logits.Sum(logit => Math.Exp(logit)));
        for (var token = 0; token < logits.Length; token++)
        {
            var logProb = logits[token] - normaliser;
            if (token == End || most == 1) yield return ([token], logProb);
            else foreach (var rest in Responses(model, [.. row, token], most - 1)) yield return ([token, .. rest.Tokens], logProb + rest.LogProb);
        }
    }
}
