using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Statistics;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using Rlgf.Worth;

namespace Rlgf.Tests.Worth;

/// <summary>What policy and guide make of the same beginnings: against sums over all texts, and by hand.</summary>
public sealed class GuideWorthTests
{
    private static double Ones(string response) => response.Count(c => c == '1') / 3.0;

    [Fact]
    public void The_gap_is_the_difference_of_what_both_make_of_the_policys_beginnings()
    {
        // By enumeration: r = 0 half of the time, else uniform in {1, 2}; beginnings by the policy, then the guide's value less the policy's.
        using var policy = new TabularModel(3, 3, null, prefix => [0.3 * prefix.Length, 0.2, -0.4]);
        double[] ofGuide = [0.2, 0.7, 0.1];
        double expected = 0, nats = 0, own = 0;
        int[] lengths = [0, 0, 1, 2];
        foreach (var r in lengths)
            Walk("", 1, prefix => prefix.Length < r ? policy.Probabilities(ToyTask.Ids(prefix)) : null, (beginning, p) => expected += 0.25 * p * (Value(beginning, _ => ofGuide) - Value(beginning, prefix => policy.Probabilities(ToyTask.Ids(prefix)))));
        // −log π of a token after the beginning: one token after r = 2, three after r = 0, all weighed alike.
        var (guideSum, ownSum, tokens) = (0.0, 0.0, 0.0);
        foreach (var r in lengths)
        {
            Walk("", 1, prefix => prefix.Length < 3 ? prefix.Length < r ? policy.Probabilities(ToyTask.Ids(prefix)) : ofGuide : null, (text, p) => guideSum += p * Surprise(text, r));
            Walk("", 1, prefix => prefix.Length < 3 ? policy.Probabilities(ToyTask.Ids(prefix)) : null, (text, p) => ownSum += p * Surprise(text, r));
            tokens += 3 - r;
        }

        (nats, own) = (guideSum / tokens, ownSum / tokens);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), ToyRun.Guide(3, null, _ => ofGuide), Ones, iterations: 1) with
        {
            Prompts = [.. Enumerable.Range(0, 8192).Select(i => new Prompt($"{i}", []))],
            RowsPerIteration = 8192,
            GuideWorth = new GuideWorthSettings { Share = 1, Window = 2 },
        };
        var metrics = ToyRun.Run(setup)[0].Metrics;
        Assert.InRange(metrics["worth/gap"], expected - 2 * metrics["worth/gap_half_width"], expected + 2 * metrics["worth/gap_half_width"]);
        Assert.True(metrics["worth/gap_half_width"] < 0.01 && expected > 0.1);
        Assert.Equal(metrics["worth/gap"], metrics["worth/guide"] - metrics["worth/policy"], 1e-9);
        Assert.Equal(nats - own, metrics["worth/distance"], 0.02);
        // All that was written for it was paid for: the policy's three tokens a row twice, the guide's one to three.
        Assert.Equal(2 * 3 * 8192, metrics["tokens/policy"]);
        Assert.InRange(metrics["tokens/guide"], 2.21 * 8192, 2.29 * 8192);

        double Surprise(string text, int r) => Enumerable.Range(r, text.Length - r).Sum(t => -Math.Log(policy.Probabilities(ToyTask.Ids(text[..t]))[text[t] - '0']));
        static double Value(string prefix, Func<string, double[]> of) => prefix.Length == 3 ? Ones(prefix) : Enumerable.Range(0, 3).Sum(token => of(prefix)[token] * Value(prefix + token, of));
        static void Walk(string prefix, double p, Func<string, double[]?> next, Action<string, double> at)
        {
            if (next(prefix) is not { } distribution) at(prefix, p);
            else
                for (var token = 0; token < 3; token++) Walk(prefix + token, p * distribution[token], next, at);
        }
    }

    [Fact]
    public void A_guide_that_can_not_go_on_is_compared_by_whole_answers()
    {
        using var policy = new TabularModel(3, 3, null, _ => [20, 0, 0]);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), new FunctionGuide("whole", _ => new("111", false, [1, 1, 1]), canRollOut: false), Ones, iterations: 1) with { GuideWorth = new GuideWorthSettings { Share = 0.5 } };
        var metrics = ToyRun.Run(setup)[0].Metrics;
        Assert.Equal((1.0, 0.0, 1.0), (metrics["worth/guide"], metrics["worth/policy"], metrics["worth/gap"]));
        Assert.Equal(20 + Math.Log(1 + 2 * Math.Exp(-20)), metrics["worth/distance"], 1e-4);
        Assert.Equal((64 + 32) * 3, metrics["tokens/policy"]);
        Assert.Equal(32 * 3, metrics["tokens/guide"]);
    }

    [Fact]
    public void Measuring_changes_nothing_of_what_is_learned()
    {
        var (with, without) = (Final(new GuideWorthSettings { Share = 1 }), Final(null));
        Assert.Equal(without, with);

        static double Final(GuideWorthSettings? worth)
        {
            using var policy = new TabularModel(3, 3, null);
            ToyRun.Run(ToyRun.Setup(policy, Presets.AggreVaTeD(0.9), ToyRun.Guide(3, null, _ => [0.3, 0.4, 0.3]), Ones, iterations: 5) with { GuideWorth = worth });
            return ToyRun.ExpectedReward(policy, Ones);
        }
    }

    [Fact]
    public void The_slope_of_a_line_is_that_of_the_textbook()
    {
        // Σ(x−3)(y−4) = 6, Σ(x−3)² = 10, residuals −0.8, 0.6, 1, −0.6, −0.2: s² = 2.4 / 3; t of 3 degrees of freedom at 97.5 % is 3.182446.
        var slope = LinearTrend.Of([(1, 2), (2, 4), (3, 5), (4, 4), (5, 5)])!;
        Assert.Equal(0.6, slope.Mean, 1e-12);
        Assert.Equal(3.182446 * Math.Sqrt(0.8 / 10), slope.HalfWidth, 1e-6);
        Assert.Null(LinearTrend.Of([(1, 2), (2, 4)]));
        Assert.Null(LinearTrend.Of([(1, 2), (1, 4), (1, 5)]));
    }

    [Fact]
    public void The_state_is_read_as_it_was_written_and_what_it_remembers_is_bounded()
    {
        var settings = new GuideWorthSettings { Window = 2 };
        var worth = GuideWorth.New;
        for (var i = 0; i < 6; i++) worth = worth.After(new(i, [0.1 * i, 1 / 3.0], [0, 0.5], i == 4 ? double.NaN : 1.5, 0.25, 0.75), settings, switchAtGap: 0.25);
        worth = worth with { Said = worth.Said.Add("held_back") };
        Assert.Equal([2, 3, 4, 5], worth.Recent.Select(measured => measured.Iteration));
        // The mean of the pairs of iterations i − 1 and i is (0.1 (2 i − 1) + 2/3 − 1) / 4: the least is the first that may count, of iterations 0 and 1.
        Assert.Equal(2, worth.SwitchedAt);
        var path = Path.GetTempFileName();
        try
        {
            using (var stream = File.Create(path)) worth.Write(stream);
            var read = GuideWorth.Read(path);
            Assert.Equal(worth.SwitchedAt, read.SwitchedAt);
            Assert.Equal(worth.Said, read.Said);
            Assert.Equal(worth.Recent.Select(Text), read.Recent.Select(Text));
            File.WriteAllText(path, "{}");
            Assert.Contains("rlgf worth 1", Assert.Throws<Rlgf.Base.InputException>(() => GuideWorth.Read(path)).Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }

        static string Text(WorthMeasurement measured) => $"{measured.Iteration} {string.Join(' ', measured.Guide)} {string.Join(' ', measured.Policy)} {measured.GuideNats} {measured.PolicyNats} {measured.Trained}";
    }
}
