using Rlgf.Base;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;

namespace Rlgf.Models.Tests.Generation;

public class ContinuousBatchTests
{
    private const int Vocabulary = 11;
    private const int End = 4;

    /// <summary>A row, its settings, and the step before which it comes.</summary>
    private sealed record Arrival(int Step, GenerationRequest Request, SamplingSettings Settings, ulong Seed);

    private static readonly SamplingSettings Sampled = new() { MaxNewTokens = 12, EndTokens = [End] };
    private static readonly SamplingSettings Greedy = Sampled with { Greedy = true };
    private static readonly SamplingSettings Narrow = Sampled with { TopP = 0.8, Temperature = 0.7 };

    private static readonly Arrival[] Arrivals =
    [
        new(0, new(new TokenRow([1, 2, 3], []), 0), Sampled, 5),
        new(0, new(new TokenRow([1, 2, 3], []), 1), Sampled, 5),
        new(1, new(new TokenRow([5], []), 0), Greedy, 6),
        new(3, new(new TokenRow([9, 9, 9, 9, 9, 9, 9], []), 0, MaxNewTokens: 3), Narrow, 7),
        new(3, new(new TokenRow([1, 2, 3], [6, 7]), 0), Narrow, 8),
        new(20, new(new TokenRow([2, 8], []), 3), Sampled, 9),
    ];

    [Fact]
    public void A_row_that_joins_a_running_batch_is_written_as_it_is_alone()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);
        AssertWrittenAsAlone(model, Arrivals);
    }

    [Theory]
    [InlineData("gpt2"), InlineData("llama"), InlineData("mistral"), InlineData("t5"), InlineData("gpt_neox")]
    public void Rows_of_real_families_join_with_caches_of_other_lengths(string family)
    {
        using var model = LanguageModelFolder.Load(Fixture.PathOf(family));
        var random = new Random(3);
        int[] Ids(int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(5, 60))];
        var greedy = new SamplingSettings { MaxNewTokens = 20, Greedy = true };
        AssertWrittenAsAlone(model,
        [
            new(0, new(new TokenRow(Ids(3), []), 0), greedy, 1),
            new(2, new(new TokenRow(Ids(9), []), 0), greedy with { Greedy = false }, 2),
            new(4, new(new TokenRow(Ids(1), []), 0, MaxNewTokens: 4), greedy, 3),
            new(12, new(new TokenRow(Ids(5), []), 0), greedy, 4),
            new(22, new(new TokenRow(Ids(2), []), 0), greedy with { Greedy = false, TopK = 5 }, 5),
        ]);
    }

    [Fact]
    public void A_cancelled_row_is_gone_after_the_next_step()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);
        using var batch = new ContinuousBatch(model);
        var settings = Sampled with { EndTokens = [] };
        var row = batch.Add(new(new TokenRow([1], []), 0), settings, 1);
        var other = batch.Add(new(new TokenRow([2], []), 0), settings, 1);
        batch.Step();
        row.Cancel();
        batch.Step();
        Assert.True(row.IsDone);
        Assert.Equal((1, 2), (row.Written, other.Written));
        Assert.Equal(1, model.RowsAppended[^1]);
        other.Cancel();
        batch.Step();
        Assert.True(batch.IsEmpty);
    }

    [Fact]
    public void Alternatives_are_the_most_likely_tokens_of_the_model_itself()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);
        using var batch = new ContinuousBatch(model);
        var row = batch.Add(new(new TokenRow([1, 2], []), 0), Narrow with { EndTokens = [] }, 1, alternatives: 3);
        var without = batch.Add(new(new TokenRow([1, 2], []), 1), Sampled, 1);
        while (!row.IsDone) batch.Step();
        List<int> history = [1, 2];
        for (var t = 0; t < row.Written; t++)
        {
            var logits = model.NextLogitsOf(history).Select(value => (double)value).ToArray();
            var normaliser = Math.Log(logits.Sum(Math.Exp));
            Assert.Equal([.. Enumerable.Range(0, Vocabulary).OrderByDescending(id => logits[id]).Take(3)], row[t].Alternatives.Select(token => token.Id));
            foreach (var token in row[t].Alternatives) Assert.Equal(logits[token.Id] - normaliser, token.LogProb, 1e-5);
            Assert.Equal(logits[row[t].Id] - normaliser, row[t].RawLogProb, 1e-5);
            history.Add(row[t].Id);
        }

        Assert.Empty(without[0].Alternatives);
    }

    [Fact]
    public void A_row_that_does_not_fit_is_refused_before_it_is_read()
    {
        using var model = TabularLanguageModel.OfWholeHistory(Vocabulary);
        using var batch = new ContinuousBatch(model);
        Assert.Throws<InputException>(() => batch.Add(new(new TokenRow(new int[60], []), 0), Sampled, 1));
        Assert.True(batch.IsEmpty);
    }

    private static void AssertWrittenAsAlone(ILanguageModel model, IReadOnlyList<Arrival> arrivals)
    {
        using var batch = new ContinuousBatch(model);
        var rows = new BatchRow[arrivals.Count];
        for (var step = 0; step == 0 || !batch.IsEmpty || step <= arrivals[^1].Step; step++)
        {
            for (var i = 0; i < arrivals.Count; i++)
                if (arrivals[i].Step == step) rows[i] = batch.Add(arrivals[i].Request, arrivals[i].Settings, arrivals[i].Seed);
            batch.Step();
        }

        for (var i = 0; i < arrivals.Count; i++)
        {
            var alone = TextGenerator.Generate(model, [arrivals[i].Request], arrivals[i].Settings, arrivals[i].Seed)[0];
            var written = Enumerable.Range(0, rows[i].Written).Select(t => rows[i][t]).ToArray();
            Assert.Equal(alone.Tokens, written.Select(token => token.Id));
            for (var t = 0; t < written.Length; t++) Assert.Equal(alone.RawLogProbs[t], written[t].RawLogProb, 2e-4);
            Assert.Equal(alone.Ended, rows[i].Ended);
        }
    }
}
