using Rlgf.Base;
using Rlgf.Models.Generation;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Generation;

public class LogitsProcessingTests
{
    private static readonly ProcessorFixture Fixture = new();

    public static TheoryData<string> Cases =>
        [.. Fixture.Expected["cases"]!.AsArray().Select(c => (string)c!["name"]!)];

    [Fact]
    public void The_fixture_has_the_cases_that_are_compared()
    {
        Assert.Equal(33, Cases.Count);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Processed_logits_and_probabilities_are_those_of_transformers(string name)
    {
        using var scope = NewDisposeScope();
        var @case = Fixture.Expected["cases"]!.AsArray().Single(c => (string)c!["name"]! == name)!;

        var processed = Dense(LogitsProcessing.Apply(Fixture.Input(@case), Fixture.HistoriesOf(@case), Fixture.Settings(@case)), 120);

        AssertEqual(Fixture.Tensor("out." + name), processed);
        AssertEqual(Fixture.Tensor("probs." + name), processed.softmax(1));
    }

    [Fact]
    public void Top_k_keeps_all_tokens_tied_with_the_last()
    {
        using var scope = NewDisposeScope();
        var settings = new SamplingSettings { MaxNewTokens = 1, TopK = 10 };

        var processed = Dense(LogitsProcessing.Apply(Fixture.Tensor("logits_with_ties"), Fixture.Histories, settings), 120);

        AssertEqual(Fixture.Tensor("out_with_ties.top_k_10"), processed);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(50)]
    [InlineData(600)]
    public void Top_k_of_a_large_vocabulary_keeps_what_sorting_would(int k)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(4);
        // Rounded, so that there are ties, and with a vocabulary that is no multiple of anything.
        var logits = (randn([3, 10_007], generator: random) * 50).round();

        var processed = Dense(LogitsProcessing.Restrict(logits, new SamplingSettings { MaxNewTokens = 1, TopK = k }), 10_007);

        foreach (var (row, kept) in logits.data<float>().ToArray().Chunk(10_007).Zip(processed.data<float>().ToArray().Chunk(10_007)))
        {
            var last = row.OrderDescending().ElementAt(k - 1);
            Assert.Equal(row.Select(value => value >= last ? value : float.NegativeInfinity), kept);
        }
    }

    [Fact]
    public void Top_p_after_tied_top_k_counts_all_tied_tokens()
    {
        // Five equal tokens are left by top-2: each has 1/5, so 0.5 is reached by the third.
        using var scope = NewDisposeScope();
        var logits = tensor(new float[] { 1, 1, 1, 1, 1, 0 }, 1, 6);
        var settings = new SamplingSettings { MaxNewTokens = 1, TopK = 2, TopP = 0.5 };

        var processed = LogitsProcessing.Apply(logits, [new RowHistory([], 0)], settings);

        Assert.Equal(3, processed.Logits.isfinite().sum().item<long>());
    }

    [Theory]
    [InlineData(0.5, 1500)] // more than the first try of the most likely tokens
    [InlineData(0.999, 2997)] // all but a few
    public void Top_p_over_a_flat_distribution_keeps_its_share_of_the_tokens(double p, int expected)
    {
        using var scope = NewDisposeScope();

        var processed = LogitsProcessing.Restrict(zeros(2, 3000), new SamplingSettings { MaxNewTokens = 1, TopP = p });

        // Sums of 3,000 single-precision numbers decide where it ends: a few tokens more or less.
        var kept = processed.Logits.isfinite().sum(1).data<long>().ToArray();
        Assert.All(kept, count => Assert.InRange(count, expected - 2, expected + 2));
    }

    [Fact]
    public void Greedy_ignores_temperature_top_k_and_top_p_and_never_changes_its_input()
    {
        using var scope = NewDisposeScope();
        var logits = Fixture.Tensor("logits");
        var settings = new SamplingSettings
        {
            MaxNewTokens = 9, Greedy = true, Temperature = 0.1, TopK = 1, TopP = 0.1, RepetitionPenalty = 1.3, MinNewTokens = 5, EndTokens = [7],
        };

        var processed = LogitsProcessing.Apply(logits, Fixture.Histories, settings);

        Assert.Null(processed.Ids);
        Assert.Equal(4 * 119, processed.Logits.isfinite().sum().item<long>());
        AssertEqual(Fixture.Tensor("logits"), logits);
    }

    [Fact]
    public void The_first_and_the_last_token_can_be_forced()
    {
        using var scope = NewDisposeScope();
        var settings = new SamplingSettings { MaxNewTokens = 9, ForcedFirstToken = 2, ForcedLastToken = 1 };
        var logits = tensor(new float[] { 1, 5, 3, 1, 5, 3, 1, 5, 3, 1, 5, 3 }, 4, 3);

        var processed = LogitsProcessing.Apply(logits, [new([0], 0, 9), new([0, 1], 1, 8), new([0, 1], 8, 1), new([0], 0, 1)], settings).Logits;

        float[] no = [float.NegativeInfinity];
        Assert.Equal([.. no, .. no, 0, 1, 5, 3, .. no, 0, .. no, .. no, 0, .. no], processed.data<float>().ToArray());
        Assert.Equal([1, 5, 3, 1, 5, 3, 1, 5, 3, 1, 5, 3], logits.data<float>().ToArray());
    }

    [Fact]
    public void Without_settings_the_distribution_is_the_models_own_tensor()
    {
        using var logits = zeros(1, 3);

        var processed = LogitsProcessing.Apply(logits, [new RowHistory([], 0)], new SamplingSettings { MaxNewTokens = 1 });

        Assert.Same(logits, processed.Logits);
    }

    [Fact]
    public void Settings_out_of_range_are_refused_by_name()
    {
        var good = new SamplingSettings { MaxNewTokens = 1, EndTokens = [2] };
        good.Validate(3);

        AssertRefused(good with { Temperature = 0 }, "temperature");
        AssertRefused(good with { Temperature = double.NaN }, "temperature");
        AssertRefused(good with { TopK = -1 }, "top-k");
        AssertRefused(good with { TopP = 0 }, "top-p");
        AssertRefused(good with { TopP = 1.1 }, "top-p");
        AssertRefused(good with { RepetitionPenalty = 0 }, "repetition penalty");
        AssertRefused(good with { MaxNewTokens = -1 }, "maximum of new tokens");
        AssertRefused(good with { MinNewTokens = -1 }, "minimum of new tokens");
        AssertRefused(good with { EndTokens = [3] }, "end token");
        AssertRefused(good with { BatchRows = 0 }, "rows in a batch");
        AssertRefused(good with { MinP = 1.1 }, "min-p");
        AssertRefused(good with { TypicalP = 0 }, "typical-p");
        AssertRefused(good with { NoRepeatNgram = -1 }, "n-grams");
        AssertRefused(good with { ForcedFirstToken = 3 }, "forced first token");
        AssertRefused(good with { ForcedLastToken = -1 }, "forced last token");
        AssertRefused(good with { ForbiddenSequences = [[1], []] }, "holds no token");
        AssertRefused(good with { ForbiddenSequences = [[1, 3]] }, "forbidden sequence");
        AssertRefused(good with { Beams = new BeamSettings { Width = 1 } }, "number of beams");
        AssertRefused(good with { Beams = new BeamSettings { Width = 2, LengthPenalty = double.NaN } }, "length penalty");
        AssertRefused(good with { Beams = new BeamSettings { Width = 2 }, Greedy = true }, "use one of them");
    }

    private static void AssertRefused(SamplingSettings settings, string what) =>
        Assert.Contains(what, Assert.Throws<InputException>(() => settings.Validate(3)).Message, StringComparison.Ordinal);

    /// <summary>[B, V] with −∞ where a token is no candidate.</summary>
    private static Tensor Dense(Candidates candidates, int vocabulary) =>
        candidates.Ids is { } ids
            ? full(candidates.Logits.size(0), vocabulary, float.NegativeInfinity).scatter(1, ids, candidates.Logits)
            : candidates.Logits;

    private static void AssertEqual(Tensor expected, Tensor actual)
    {
        var (expectedValues, actualValues) = (expected.data<float>().ToArray(), actual.contiguous().data<float>().ToArray());
        Assert.Equal(expectedValues.Length, actualValues.Length);
        for (var i = 0; i < expectedValues.Length; i++)
        {
            Assert.Equal(float.IsFinite(expectedValues[i]), float.IsFinite(actualValues[i]));
            if (float.IsFinite(expectedValues[i]))
            {
                Assert.Equal(expectedValues[i], actualValues[i], 1e-5);
            }
        }
    }
}
