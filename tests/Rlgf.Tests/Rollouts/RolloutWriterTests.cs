using Rlgf.Guides;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Tokenizers.Training;

namespace Rlgf.Tests.Rollouts;

/// <summary>What policy and guide write together has the distribution of algorithms.md: every finished row's frequency against its exact probability.</summary>
public sealed class RolloutWriterTests
{
    private const int Rows = 20_000;

    [Theory]
    [InlineData(Actor.Guide, Actor.Policy, "inside")]
    [InlineData(Actor.Guide, Actor.Policy, "limit")]
    [InlineData(Actor.Policy, Actor.Guide, "inside")]
    [InlineData(Actor.Policy, Actor.Guide, "limit")]
    [InlineData(Actor.Policy, Actor.Guide, "exact")]
    public void Rows_have_their_exact_probabilities(Actor rollIn, Actor rollOut, string lengths)
    {
        foreach (var task in ToyTask.All())
        {
            var plan = new RolloutPlan(rollIn, rollOut, 0.7, Enum.Parse<RollInLengths>(lengths, ignoreCase: true));
            var counts = Write(task, plan).GroupBy(row => (row.Text, row.RollInLength)).ToDictionary(group => group.Key, group => group.Count());
            var expected = new Dictionary<(string, int), double>();
            foreach (var (prefix, p) in task.RollIns(Of(rollIn), plan.RollInProbability, lengths))
                foreach (var (response, q) in task.Continuations(prefix, Of(rollOut)))
                    expected[(response, prefix.Length)] = expected.GetValueOrDefault((response, prefix.Length)) + p * q;

            Assert.Equal(1, expected.Values.Sum(), 1e-9);
            Assert.Subset(expected.Keys.ToHashSet(), counts.Keys.ToHashSet());
            // Pearson's statistic over n cells has mean n - 1 and variance 2(n - 1); five deviations.
            var statistic = expected.Where(cell => cell.Value > 0).Sum(cell => Math.Pow(counts.GetValueOrDefault(cell.Key) - Rows * cell.Value, 2) / (Rows * cell.Value));
            var freedom = expected.Count(cell => cell.Value > 0) - 1;
            Assert.InRange(statistic, 0, freedom + 5 * Math.Sqrt(2 * freedom));

            Func<string, double[]> Of(Actor actor) => actor == Actor.Policy ? task.Policy : task.Guide;
        }
    }

    [Fact]
    public void Writing_only_the_kept_part_of_a_roll_in_keeps_the_same_length_as_writing_all()
    {
        foreach (var lengths in new[] { RollInLengths.Limit, RollInLengths.Exact })
            for (var written = 1; written <= 6; written++)
                for (var draw = 0; draw < 600; draw++)
                {
                    var uniform = (draw + 0.5) / 600;
                    var kept = Math.Min(written, RollInLengthDraw.TokensNeeded(lengths, uniform, 6));
                    Assert.Equal(RollInLengthDraw.Length(lengths, uniform, 6, written), RollInLengthDraw.Length(lengths, uniform, 6, kept));
                }
    }

    [Theory]
    [InlineData(RollInLengths.Inside, 6, new[] { 120, 120, 120, 120, 120, 0 })]
    [InlineData(RollInLengths.Limit, 6, new[] { 100, 100, 100, 100, 100, 100 })]
    [InlineData(RollInLengths.Limit, 2, new[] { 100, 500, 0, 0, 0, 0 })]
    [InlineData(RollInLengths.Exact, 2, new[] { 100, 100, 0, 0, 0, 0 })]
    public void Lengths_are_drawn_as_the_table_says(RollInLengths lengths, int written, int[] counts)
    {
        var seen = new int[7];
        for (var draw = 0; draw < 600; draw++) seen[RollInLengthDraw.Length(lengths, (draw + 0.5) / 600, 6, written)]++;
        Assert.Equal(counts, seen[1..]);
        Assert.Equal(600 - counts.Sum(), seen[0]);
    }

    [Fact]
    public void A_row_says_who_wrote_each_token_and_only_the_policys_have_log_probabilities()
    {
        var task = ToyTask.All()[1];
        foreach (var row in Write(task, new RolloutPlan(Actor.Policy, Actor.Guide, 0.7, RollInLengths.Limit)).Take(500))
            for (var t = 0; t < row.Tokens.Length; t++)
            {
                Assert.Equal(t < row.RollInLength ? Actor.Policy : Actor.Guide, row.AuthorOf(t));
                if (t < row.RollInLength) Assert.Equal(Math.Log(task.Policy(row.Text[..t])[row.Tokens[t]]), row.LogProbs[t], 1e-5);
                else Assert.True(float.IsNaN(row.LogProbs[t]));
            }
    }

    [Fact]
    public void An_end_token_spelt_out_in_a_guides_text_is_text_and_ends_nothing()
    {
        const string Spelt = "good <|endoftext|> good";
        var tokenizer = BpeTrainer.Train(["good better best"], new BpeTrainerOptions { VocabularySize = 260 });
        var end = tokenizer.EosId!.Value;
        using var policy = TinyGpt2.Create(tokenizer.VocabularySize, end, contextLength: 64);
        var guide = new FunctionGuide("speller", _ => new GuideContinuation(Spelt, Ended: true));
        var writer = new RolloutWriter(new ModelWriter(policy), policy.Shape, tokenizer, guide, new SamplingSettings { MaxNewTokens = 40, EndTokens = [end] }, seed: 1);
        Prompt[] prompts = [new("good", tokenizer.Encode("good"))];

        var row = Assert.Single(writer.RollOut(ToyRun.Rows(prompts, new RolloutPlan(Actor.Policy, Actor.Guide, 0, RollInLengths.Limit)), [RollInResult.None], 0, CancellationToken.None));

        Assert.Equal(Spelt, row.Text);
        Assert.Equal(row.Tokens.Length - 1, Array.IndexOf(row.Tokens, end));
        Assert.True(row.Ended);
    }

    private static Rollout[] Write(ToyTask task, RolloutPlan plan)
    {
        using var policy = new TabularModel(task.Tokens, task.Horizon, task.End, prefix => task.Theta(ToyTask.Digits(prefix)));
        // Digits include the end token here, so that a row's text is its path through the tree.
        var writer = new RolloutWriter(
            new ModelWriter(policy), policy.Shape, new DigitTokenizer(task.Tokens), ToyRun.Guide(task.Horizon, task.End, task.Guide),
            new SamplingSettings { MaxNewTokens = task.Horizon, EndTokens = task.End is { } end ? [end] : [] }, seed: 5);
        var prompts = Enumerable.Repeat(new Prompt("", []), Rows).ToArray();
        var rollIns = writer.RollIn(ToyRun.Rows(prompts, plan), 0, CancellationToken.None);
        return [.. writer.RollOut(ToyRun.Rows(prompts, plan), rollIns, 0, CancellationToken.None).Select(row => row with { Text = ToyTask.Digits(row.Tokens) })];
    }
}
