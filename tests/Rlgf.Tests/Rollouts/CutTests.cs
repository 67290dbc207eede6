using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Losses;
using Rlgf.Prompts;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Rollouts;

/// <summary>Where the guide's text is cut by a share of it: histograms against the rule's own distribution, schedules at their ends, and what a group shares.</summary>
public sealed class CutTests
{
    private static readonly Func<string, double> Reward = response => response.Count(c => c == '1') - 0.3 * response.Count(c => c == '0');

    [Theory]
    [InlineData(0.0, 1.0, 6, new[] { 100, 100, 100, 100, 100, 100, 0 })]
    [InlineData(0.2, 0.7, 10, new[] { 0, 0, 120, 120, 120, 120, 120, 0, 0, 0, 0 })]
    [InlineData(0.5, 0.5, 5, new[] { 0, 0, 600, 0, 0, 0 })]
    [InlineData(1.0, 1.0, 5, new[] { 0, 0, 0, 0, 0, 600 })]
    [InlineData(0.0, 0.0, 3, new[] { 600, 0, 0, 0 })]
    public void A_window_draws_its_places_evenly(double low, double high, int length, int[] counts)
    {
        var cut = new CutSettings { Low = low, High = high }.Over(null);
        var seen = new int[length + 1];
        for (var draw = 0; draw < 600; draw++) seen[RollInLengthDraw.OfShare(cut.Draw(0, _ => (draw + 0.5) / 600), length)]++;
        Assert.Equal(counts, seen);
    }

    [Theory]
    [InlineData(0.95)]
    [InlineData(0.3)]
    [InlineData(0.0)]
    [InlineData(1.0)]
    public void A_binomial_cut_has_the_binomials_histogram(double probability)
    {
        const int Chunks = 5, Draws = 20_000;
        var cut = new CutSettings { Rule = CutRule.Binomial, Chunks = Chunks, Probability = probability }.Over(null);
        var seen = new int[Chunks + 1];
        // A text of 15 tokens has parts of three.
        for (var draw = 0; draw < Draws; draw++)
        {
            var r = RollInLengthDraw.OfShare(cut.Draw(0, place => RandomStream.Uniform(3, (ulong)draw, (ulong)place)), 15);
            Assert.Equal(0, r % 3);
            seen[r / 3]++;
        }

        double[] choose = [1, 5, 10, 10, 5, 1];
        var expected = choose.Select((ways, k) => Draws * ways * Math.Pow(probability, k) * Math.Pow(1 - probability, Chunks - k)).ToArray();
        for (var k = 0; k <= Chunks; k++) if (expected[k] == 0) Assert.Equal(0, seen[k]);
        var statistic = expected.Select((mean, k) => mean > 0 ? (seen[k] - mean) * (seen[k] - mean) / mean : 0).Sum();
        Assert.InRange(statistic, 0, Chunks + 5 * Math.Sqrt(2 * Chunks));
    }

    [Fact]
    public void A_share_of_whole_parts_is_whole_parts_however_it_was_rounded()
    {
        for (var parts = 1; parts <= 60; parts++)
            for (var k = 0; k <= parts; k++)
                foreach (var each in new[] { 1, 3, 7, 11 }) Assert.Equal(k * each, RollInLengthDraw.OfShare((double)k / parts, parts * each));
    }

    [Theory]
    [InlineData(CutSchedule.Cosine, new[] { 0.95, 0.5, 0.05, 0.05 })]
    [InlineData(CutSchedule.Linear, new[] { 0.95, 0.5, 0.05, 0.05 })]
    public void A_schedule_has_its_first_middle_and_final_value(CutSchedule schedule, double[] at)
    {
        var cut = new CutSettings { Low = 0.95, High = 0.95, FinalLow = 0.05, FinalHigh = 0.05, Schedule = schedule, Iterations = 300 }.Over(null);
        foreach (var (iteration, share) in new[] { 0, 150, 300, 1000 }.Zip(at)) Assert.Equal(share, cut.Draw(iteration, _ => 0.37), 1e-12);
        // A quarter of the way: 0.5 + 0.45 · cos(π / 4) of the cosine, as UFT writes it.
        Assert.Equal(schedule == CutSchedule.Cosine ? 0.05 + 0.45 * (1 + Math.Sqrt(0.5)) : 0.725, cut.Draw(75, _ => 0.37), 1e-12);
    }

    [Fact]
    public void Stages_go_down_in_equal_steps_and_a_window_may_move_one_end_alone()
    {
        var stages = new CutSettings { Low = 0.8, High = 0.8, FinalLow = 0, FinalHigh = 0, Schedule = CutSchedule.Stages, Stages = 5, Iterations = 50 }.Over(null);
        double[] expected = [0.8, 0.6, 0.4, 0.2, 0];
        for (var iteration = 0; iteration < 60; iteration++) Assert.Equal(expected[Math.Min(4, iteration / 10)], stages.Draw(iteration, _ => 0.9), 1e-12);
        // The lower end falls, the upper stays: uniform in between.
        var window = new CutSettings { Low = 0.95, High = 0.95, FinalLow = 0.05, Schedule = CutSchedule.Linear, Iterations = 10 }.Over(null);
        Assert.Equal(0.95, window.Draw(0, _ => 0.25), 1e-12);
        Assert.Equal(0.05 + 0.25 * 0.9, window.Draw(10, _ => 0.25), 1e-12);
    }

    [Theory]
    [InlineData(RollInLengths.Share, 1.0)]
    [InlineData(RollInLengths.Inside, 0.5)]
    public void A_group_starts_from_one_state_that_the_guide_wrote_once(RollInLengths lengths, double beta)
    {
        var asked = 0;
        var sampler = (ILocalGuide)ToyRun.Guide(6, null, _ => [0.3, 0.4, 0.3]);
        var guide = new FunctionGuide("counting", request =>
        {
            asked++;
            return sampler.Continue([request], CancellationToken.None)[0];
        });
        var phase = new RolloutPhase(Actor.Guide, Actor.Policy, beta, lengths, lengths == RollInLengths.Share ? new CutSettings().Over(null) : null);
        var (rows, metrics) = Run(Presets.Grpo(4) with { First = phase, RollInScope = RollInScope.Group }, guide, iterations: 1, horizon: 6);

        var groups = rows.GroupBy(row => row.Group).ToArray();
        Assert.Equal(16, groups.Length);
        foreach (var group in groups)
        {
            Assert.Single(group.Select(row => (row.RollInLength, string.Concat(row.Tokens.Take(row.RollInLength)), row.WholeGuideResponse is null)).Distinct());
            // What they go on with is their own.
            if (group.First().RollInLength <= 3) Assert.True(group.Select(row => row.Text).Distinct().Count() > 1);
        }
        Assert.True(groups.Select(group => group.First().RollInLength).Distinct().Count() > 2);
        Assert.Equal(groups.Count(group => group.First().WholeGuideResponse is not null), asked);
        Assert.InRange(asked, beta == 1 ? 12 : 3, beta == 1 ? 16 : 13);
        // Texts of six tokens, of which each is paid for once.
        Assert.Equal(6 * asked, metrics["tokens/guide"]);
        if (lengths == RollInLengths.Share) Assert.InRange(metrics["cut/share"], 0.3, 0.7);

        // Each row for itself: other lengths within a group.
        var (apart, _) = Run(Presets.Grpo(4) with { First = phase }, guide, iterations: 1, horizon: 6);
        Assert.Contains(apart.GroupBy(row => row.Group), group => group.Select(row => row.RollInLength).Distinct().Count() > 1);
    }

    [Fact]
    public void UFT_that_gives_nothing_is_GRPO_and_after_the_switch_the_guide_is_not_asked()
    {
        var guide = ToyRun.Guide(3, 2, _ => [0.3, 0.5, 0.2]);
        var uft = Presets.Uft(switchIteration: 100);
        Assert.Equal(Weights(Presets.Grpo(4)), Weights(uft with { First = uft.First with { Cut = uft.First.Cut! with { Probability = 0, FinalProbability = 0 } } }));
        Assert.NotEqual(Weights(Presets.Grpo(4)), Weights(uft));
        using var policy = new TabularModel(3, 3, 2);
        var records = ToyRun.Run(ToyRun.Setup(policy, Presets.Uft(switchIteration: 2), guide, Reward, iterations: 4));
        Assert.All(records.Take(2), record => Assert.True(record.Metrics["roll_in/share"] > 0));
        Assert.All(records.Skip(2), record => Assert.Equal((0, double.NaN), (record.Metrics["roll_in/share"], record.Metrics["cut/share"])));
        Assert.Equal(records[1].Metrics["tokens/guide"], records[3].Metrics["tokens/guide"]);

        float[] Weights(AlgorithmSettings algorithm)
        {
            using var learner = new TabularModel(3, 3, 2);
            ToyRun.Run(ToyRun.Setup(learner, algorithm, guide, Reward, iterations: 4));
            return [.. learner.Logit.data<float>()];
        }
    }

    /// <summary>All of the text is given: nothing is left for the policy, and the gradient is that of supervised training on it.</summary>
    [Fact]
    public void UFT_that_gives_everything_is_supervised_training()
    {
        const double Weight = 0.25;
        var uft = Presets.Uft(switchIteration: 100) with { GuideCredit = Weight };
        uft = uft with { First = uft.First with { Cut = uft.First.Cut! with { Probability = 1, FinalProbability = 1 } } };
        using var policy = new TabularModel(3, 3, null);
        var setup = ToyRun.Setup(policy, uft, new ReferencesGuide(), Reward, iterations: 1) with { Prompts = [new Prompt("", []) { References = ["120"] }] };
        var metrics = ToyRun.Run(setup with { Update = setup.Update with { Epochs = 1, RowsPerMinibatch = 64 } })[0].Metrics;
        Assert.Equal((3, 0, 0), (metrics["roll_in/length"], metrics["loss/policy"], metrics["tokens/policy"]));
        // A uniform policy over three tokens; each of the three prefixes has the gradient c/3 · (1/3 − [token]).
        Assert.Equal(Weight * Math.Log(3), metrics["loss/guide"], 1e-5);
        Assert.Equal(Weight * Math.Sqrt(3.0 / 9 * (4.0 / 9 + 2.0 / 9)), metrics["policy/gradient_norm"], 1e-5);
    }

    [Fact]
    public void R3_gives_a_share_of_rows_places_all_over_the_text()
    {
        var (rows, metrics) = Run(Presets.R3(), ToyRun.Guide(6, null, _ => [0.3, 0.4, 0.3]), iterations: 1, horizon: 6);
        Assert.InRange(rows.Count(row => row.WholeGuideResponse is not null), 38, 58);
        Assert.Equal([0, 1, 2, 3, 4, 5], rows.Where(row => row.WholeGuideResponse is not null).Select(row => row.RollInLength).Distinct().Order());
        Assert.Equal(0.757, metrics["roll_in/probability"], 1e-9);
    }

    private static (IReadOnlyList<Rollout> Rows, IReadOnlyDictionary<string, double> Metrics) Run(AlgorithmSettings algorithm, IGuide guide, int iterations, int horizon)
    {
        using var policy = new TabularModel(3, horizon, null);
        var spy = new SpyTerm();
        var records = ToyRun.Run(ToyRun.Setup(policy, algorithm, guide, Reward, iterations) with { FurtherLossTerms = [spy] });
        return (spy.Last!.Rollouts, records[^1].Metrics);
    }
}
