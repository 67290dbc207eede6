using Rlgf.Base;
using Rlgf.Models.Generation;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Generation;

public class TextGeneratorTests
{
    private const int Vocabulary = 11;
    private const int End = 4;

    private static readonly SamplingSettings Sampling = new() { MaxNewTokens = 12, EndTokens = [End] };

    private static readonly GenerationRequest[] Requests =
    [
        new(new TokenRow([1, 2, 3], []), 1),
        new(new TokenRow([1, 2, 3], []), 2),
        new(new TokenRow([5], []), 3),
        new(new TokenRow([1, 2, 3], [6, 7]), 4),
        new(new TokenRow([9, 9, 9, 9, 9, 9, 9], []), 5, MaxNewTokens: 3),
        new(new TokenRow([5, 1], []), 6, MaxNewTokens: 0),
        new(new TokenRow([1, 2, 3], []), 7),
        new(new TokenRow([2, 8], []), 8, MaxNewTokens: 7),
        new(new TokenRow([1, 2], [3]), 9),
    ];

    public static TheoryData<string> SettingsNames => ["plain", "processed", "greedy"];

    [Theory]
    [MemberData(nameof(SettingsNames))]
    public void A_rows_text_is_the_same_alone_in_any_batch_in_any_order_and_in_any_chunks(string name)
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);
        var settings = Named(name);
        var together = TextGenerator.Generate(model, Requests, settings, seed: 5);

        var alone = Requests.Select(request => TextGenerator.Generate(model, [request], settings, seed: 5)[0]).ToArray();
        var reversed = TextGenerator.Generate(model, [.. Requests.Reverse()], settings, seed: 5).Reverse().ToArray();
        var chunked = TextGenerator.Generate(model, Requests, settings with { BatchRows = 2 }, seed: 5);

        for (var i = 0; i < Requests.Length; i++)
        {
            AssertSame(together[i], alone[i]);
            AssertSame(together[i], reversed[i]);
            AssertSame(together[i], chunked[i]);
        }
    }

    [Theory]
    [MemberData(nameof(SettingsNames))]
    public void A_response_written_in_two_goes_is_the_one_written_in_one(string name)
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);
        var settings = Named(name) with { EndTokens = [] };
        var request = new GenerationRequest(new TokenRow([3, 1], []), Stream: 8);
        var whole = TextGenerator.Generate(model, [request], settings, seed: 2)[0];

        var goesOn = request with { Row = new TokenRow([3, 1], whole.Tokens[..5]), MaxNewTokens = 7 };
        var rest = TextGenerator.Generate(model, [goesOn], settings, seed: 2)[0];

        Assert.Equal(whole.Tokens[5..], rest.Tokens);
    }

    [Fact]
    public void Seeds_and_streams_make_different_texts()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);
        var settings = Sampling with { EndTokens = [] };

        var texts = TextGenerator.Generate(model, Requests[..2], settings, seed: 5)
            .Concat(TextGenerator.Generate(model, Requests[..2], settings, seed: 6))
            .Select(row => string.Join(' ', row.Tokens));

        Assert.Equal(4, texts.Distinct().Count());
    }

    [Theory]
    [MemberData(nameof(SettingsNames))]
    public void Log_probabilities_are_those_of_the_sampled_and_of_the_raw_distribution(string name)
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);
        var settings = Named(name);
        foreach (var (request, row) in Requests.Zip(TextGenerator.Generate(model, Requests, settings, seed: 5)))
        {
            Assert.Equal(row.Tokens.Length, row.SampledLogProbs.Length);
            Assert.Equal(row.Tokens.Length, row.RawLogProbs.Length);
            List<int> history = [.. request.Row.Prompt, .. request.Row.Response];
            for (var t = 0; t < row.Tokens.Length; t++)
            {
                var logits = model.NextLogitsOf(history).Select(value => (double)value).ToArray();
                Assert.Equal(LogSoftmax(logits)[row.Tokens[t]], row.RawLogProbs[t], 1e-5);

                var sampled = settings.Greedy ? 0 : LogSoftmax(Processed(logits, history, request.Row.Response.Length + t, settings))[row.Tokens[t]];
                Assert.Equal(sampled, row.SampledLogProbs[t], 1e-5);
                history.Add(row.Tokens[t]);
            }
        }
    }

    [Fact]
    public void Rows_end_at_an_end_token_or_at_their_own_limit()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);

        var rows = TextGenerator.Generate(model, Requests, Sampling, seed: 5);

        foreach (var (request, row) in Requests.Zip(rows))
        {
            var limit = request.MaxNewTokens ?? Sampling.MaxNewTokens;
            Assert.Equal(row.Ended, row.Tokens.Contains(End));
            Assert.True(row.Ended ? row.Tokens.Length <= limit && Array.IndexOf(row.Tokens, End) == row.Tokens.Length - 1 : row.Tokens.Length == limit);
        }

        Assert.Contains(rows, row => row.Ended);
        Assert.Contains(rows, row => !row.Ended && row.Tokens.Length > 0);
        Assert.Empty(rows[5].Tokens);
        Assert.False(rows[5].Ended);
    }

    [Fact]
    public void No_row_ends_before_the_minimum_which_counts_the_responses_beginning()
    {
        // The end token is all but certain, so that a row ends as soon as it may.
        using var model = new TabularLanguageModel(Vocabulary, _ => [.. Enumerable.Range(0, Vocabulary).Select(v => v == End ? 30f : 0f)]);
        var settings = Sampling with { MinNewTokens = 5 };

        var rows = TextGenerator.Generate(model, Requests, settings, seed: 5);

        Assert.Equal(6, rows[0].Tokens.Length);
        Assert.Equal(4, rows[3].Tokens.Length);
        Assert.Equal(3, rows[4].Tokens.Length);
        Assert.True(rows[0].Ended);
        Assert.False(rows[4].Ended);
    }

    [Fact]
    public void Greedy_takes_the_most_likely_token()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);

        var row = TextGenerator.Generate(model, Requests[..1], Sampling with { Greedy = true, EndTokens = [] }, seed: 0)[0];

        List<int> history = [1, 2, 3];
        foreach (var token in row.Tokens)
        {
            var logits = model.NextLogitsOf(history);
            Assert.Equal(logits.Max(), logits[token]);
            history.Add(token);
        }
    }

    [Fact]
    public void Equal_beginnings_are_read_once_and_finished_rows_leave()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);
        var requests = Enumerable.Range(0, 16).Select(i => new GenerationRequest(new TokenRow([1, 2], []), (ulong)i, MaxNewTokens: i < 8 ? 2 : 6)).ToArray();

        TextGenerator.Generate(model, requests, Sampling with { EndTokens = [] }, seed: 1);

        Assert.Equal([1], model.RowsRead);
        Assert.Equal([16, 8, 8, 8, 8], model.RowsAppended);
    }

    [Fact]
    public void A_finished_row_leaves_when_the_context_has_no_position_for_it()
    {
        // The context is full with the long row's own tokens; the short ones go on. (The model asserts that nothing is appended beyond its context.)
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary, contextLength: 20);
        var requests = Enumerable.Range(0, 9).Select(i => new GenerationRequest(new TokenRow([1, 2], []), (ulong)i)).ToArray();
        requests[8] = new GenerationRequest(new TokenRow(new int[18], []), 8, MaxNewTokens: 2);

        var rows = TextGenerator.Generate(model, requests, Sampling with { EndTokens = [] }, seed: 1);

        Assert.Equal([12, 12, 12, 12, 12, 12, 12, 12, 2], rows.Select(row => row.Tokens.Length));
    }

    [Fact]
    public void A_row_that_the_context_cannot_hold_is_refused_with_its_number()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary, contextLength: 13);

        var error = Assert.Throws<InputException>(() => TextGenerator.Generate(model, Requests[..2], Sampling, seed: 1));

        Assert.StartsWith("row 0 (counted from 0) does not fit: 3 prompt tokens, 0 response tokens and 12 new tokens", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Logits_that_are_no_numbers_are_reported(bool greedy)
    {
        using var model = new TabularLanguageModel(3, _ => [0, float.NaN, 1]);

        var error = Assert.Throws<InputException>(() => TextGenerator.Generate(model, [new(new TokenRow([1], []), 1)], new() { MaxNewTokens = 2, Greedy = greedy }, seed: 1));

        Assert.Contains("not numbers", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_batch_may_be_larger_than_any_number_of_rows()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);

        var rows = TextGenerator.Generate(model, Requests[..2], Sampling with { BatchRows = int.MaxValue }, seed: 1);

        Assert.Equal(TextGenerator.Generate(model, Requests[..2], Sampling, seed: 1).Select(row => row.Tokens), rows.Select(row => row.Tokens));
    }

    [Fact]
    public void No_rows_give_no_rows()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);

        Assert.Empty(TextGenerator.Generate(model, [], Sampling, seed: 1));
    }

    [Fact]
    public void A_cancelled_generation_stops()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);
        using var source = new CancellationTokenSource();
        source.Cancel();

        Assert.Throws<OperationCanceledException>(() => TextGenerator.Generate(model, Requests, Sampling, seed: 1, source.Token));
    }

    private static SamplingSettings Named(string name) => name switch
    {
        "plain" => Sampling,
        "processed" => Sampling with { Temperature = 0.8, TopK = 6, TopP = 0.9, RepetitionPenalty = 1.2, MinNewTokens = 3 },
        _ => Sampling with { Greedy = true, RepetitionPenalty = 1.2, MinNewTokens = 3 },
    };

    private static void AssertSame(GeneratedRow expected, GeneratedRow actual)
    {
        Assert.Equal(expected.Tokens, actual.Tokens);
        Assert.Equal(expected.Ended, actual.Ended);
        Assert.Equal(expected.SampledLogProbs, actual.SampledLogProbs);
        Assert.Equal(expected.RawLogProbs, actual.RawLogProbs);
    }

    /// <summary>The processors once more, straight from their definitions, in double precision, for one row.</summary>
    private static double[] Processed(double[] logits, List<int> history, int responseTokens, SamplingSettings settings)
    {
        var result = logits.Select((value, v) => !history.Contains(v) ? value : value < 0 ? value * settings.RepetitionPenalty : value / settings.RepetitionPenalty).ToArray();
        if (responseTokens < settings.MinNewTokens)
        {
            result[End] = double.NegativeInfinity;
        }

        result = [.. result.Select(value => value / settings.Temperature)];
        if (settings.TopK > 0)
        {
            var last = result.OrderDescending().ElementAt(settings.TopK - 1);
            result = [.. result.Select(value => value < last ? double.NegativeInfinity : value)];
        }

        var logProbs = LogSoftmax(result);
        return [.. result.Select((value, v) => logProbs.Where(other => other > logProbs[v]).Sum(Math.Exp) >= settings.TopP ? double.NegativeInfinity : value)];
    }

    private static double[] LogSoftmax(double[] logits)
    {
        var sum = Math.Log(logits.Sum(Math.Exp));
        return [.. logits.Select(value => value - sum)];
    }
}
