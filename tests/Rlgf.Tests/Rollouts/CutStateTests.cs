using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Tests.Runs;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Rollouts;

/// <summary>What is known of each prompt's cut: the interval rule replayed by hand, the search by halving against every threshold, and the state by identity.</summary>
public sealed class CutStateTests
{
    [Fact]
    public void The_interval_rule_is_the_papers_on_a_fixed_list_of_rewards()
    {
        var cut = new CutSettings { Rule = CutRule.Interval, SuccessRate = 0.5 }.Over(null);
        // ρ and the share of rows that succeeded; then what the interval is by hand: a success makes ρ the end and 0 the beginning, a failure makes ρ the beginning.
        (double Share, double Successes, double Low, double High)[] trials =
        [
            (0.6, 0.0, 0.6, 1.0), (0.8, 0.25, 0.8, 1.0), (0.9, 0.5, 0.0, 0.9), (0.3, 0.0, 0.3, 0.9), (0.7, 1.0, 0.0, 0.7), (0.2, 0.75, 0.0, 0.2), (0.1, 0.49, 0.1, 0.2),
        ];
        var interval = CutInterval.Whole;
        foreach (var (share, successes, low, high) in trials)
        {
            Assert.InRange(share, interval.Low, interval.High);
            interval = cut.After(interval, share, successes);
            Assert.Equal(new CutInterval(low, high), interval);
        }

        // Drawn evenly in between, but for a share of draws that give nothing.
        Assert.Equal(0.1 + 0.25 * 0.1, cut.Draw(0, place => place == 0 ? 0.25 : 0.9, interval), 1e-12);
        Assert.Equal(0, cut.Draw(0, place => place == 0 ? 0.25 : 0.049, interval));
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(3, 2)]
    [InlineData(8, 3)]
    [InlineData(10, 4)]
    [InlineData(16, 4)]
    [InlineData(17, 5)]
    public void Halving_finds_every_threshold_in_as_many_trials_as_the_logarithm(int chunks, int trials)
    {
        var cut = new CutSettings { Rule = CutRule.Bisect, Chunks = chunks }.Over(null);
        for (var threshold = 1; threshold <= chunks; threshold++)
        {
            var (interval, done) = (CutInterval.Whole, 0);
            while (!cut.IsSettled(interval))
            {
                interval = Tried(cut, interval, threshold);
                done++;
            }
            Assert.InRange(done, 0, trials);
            Assert.Equal((double)threshold / chunks, cut.Draw(0, _ => 0.5, interval), 1e-12);
        }
    }

    [Fact]
    public void A_place_that_has_become_easy_or_too_hard_is_searched_anew_and_one_in_the_band_stays()
    {
        var cut = new CutSettings { Rule = CutRule.Bisect, Chunks = 10, SuccessLow = 0.2, SuccessHigh = 0.6 }.Over(null);
        var settled = new CutInterval(0.5, 0.6);
        // A part of the rows succeed: just there.
        Assert.Equal(settled, cut.After(settled, 0.6, 0.4));
        Assert.Equal(new CutInterval(0.2, 0.3), cut.After(new(0.1, 0.8), 0.3, 0.4));
        foreach (var threshold in new[] { 1, 3, 6, 8, 10 })
        {
            var interval = settled;
            for (var trial = 0; trial < 6; trial++) interval = Tried(cut, interval, threshold);
            while (!cut.IsSettled(interval)) interval = Tried(cut, interval, threshold);
            Assert.Equal(threshold / 10.0, cut.Draw(0, _ => 0.5, interval), 1e-12);
        }
        // Nothing helps, not even the whole text.
        var hopeless = CutInterval.Whole;
        for (var trial = 0; trial < 8; trial++) hopeless = cut.After(hopeless, cut.Draw(0, _ => 0.5, hopeless), 0);
        Assert.Equal(1.0, cut.Draw(0, _ => 0.5, hopeless));
    }

    [Fact]
    public void New_prompts_begin_at_the_moving_mean()
    {
        var cut = new CutSettings { Rule = CutRule.Interval, Memory = 0.8, NothingProbability = 0 }.Over(null);
        // Two groups: one failed behind 0.5, one succeeded behind 0.4; a row that began with nothing is no trial.
        var state = CutState.New.After(cut, [Row("a", 0, 0.5, 0), Row("a", 0, 0.5, 0), Row("b", 1, 0.4, 1), Row("b", 1, 0.4, 0), Row("c", 2, 0, 1)], successReward: 1);
        Assert.Equal((new CutInterval(0.5, 1), new CutInterval(0, 0.4)), (state.Of("a"), state.Of("b")));
        // 0.8 · old + 0.2 · mean of (0.5, 1) and (0, 0.4).
        Assert.Equal(0.2 * 0.25, state.Of("new").Low, 1e-12);
        Assert.Equal(0.8 + 0.2 * 0.7, state.Of("new").High, 1e-12);
        Assert.Equal(["a", "b"], state.Prompts.Keys);
        Assert.Same(state, state.After(cut, [Row("c", 0, 0, 1)], 1));
        // The threshold of a row's success is the algorithm's.
        Assert.Equal(new CutInterval(0.5, 1), CutState.New.After(cut, [Row("a", 0, 0.5, 0.9)], 1).Of("a"));
        Assert.Equal(new CutInterval(0, 0.5), CutState.New.After(cut, [Row("a", 0, 0.5, 0.9)], 0.9).Of("a"));
    }

    [Fact]
    public void A_state_is_read_as_it_was_written_and_a_damaged_one_is_refused_by_name()
    {
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder.Path, "cuts.json");
        var state = new CutState(CutState.New.Prompts.Add("rows.jsonl, row 3", new(1 / 3.0, Math.PI / 4)).Add("ü \"quoted\"\n", new(0, double.Epsilon)), new(0.1, 0.7000000000000001));
        using (var file = File.Create(path)) state.Write(file);
        var again = CutState.Read(path);
        Assert.Equal(state.Average, again.Average);
        Assert.Equal(state.Prompts, again.Prompts);
        foreach (var damaged in new[] { File.ReadAllText(path)[..^4], "{}", "{\"Format\":\"rlgf cuts 2\"}", "null", "[1]" })
        {
            File.WriteAllText(path, damaged);
            Assert.StartsWith($"{path}: the prompts' cuts are", Assert.Throws<InputException>(() => CutState.Read(path)).Message, StringComparison.Ordinal);
        }
    }

    /// <summary>Two prompts of the same tokens, one that needs all but the last token given and one that needs nothing: each finds its own place.</summary>
    [Fact]
    public void Prompts_are_told_apart_by_identity_and_not_by_tokens()
    {
        Prompt[] prompts = [new("", []) { Id = "hard", References = ["121212"] }, new("", []) { Id = "easy", References = ["121212"] }];
        using var policy = new TabularModel(3, 6, null);
        // The untrained policy is right about the last token in one of three rows.
        var reward = new FunctionReward("toy", response => response.Prompt.Id == "easy" || string.Concat(response.Tokens)[..5] == "12121" ? 1 : 0);
        var algorithm = Presets.AdaBack(8);
        algorithm = algorithm with { First = algorithm.First with { Cut = algorithm.First.Cut! with { NothingProbability = 0, Memory = 1 } } };
        var setup = ToyRun.Setup(policy, algorithm, new ReferencesGuide(), _ => 0, iterations: 12) with { Reward = reward, Prompts = prompts, RowsPerIteration = 16 };
        // Nothing is learned, so that the places are those of the untrained policy.
        setup = setup with { Update = setup.Update with { LearningRate = 1e-12 } };
        using var training = new GuidedTraining(setup, new TrainingSchedule { CheckpointEvery = 0, EvaluateEvery = 0 }, new MemoryLog());
        var cuts = training.Run(null, resume: false, CancellationToken.None).Cuts!;
        Assert.Equal(["easy", "hard"], cuts.Prompts.Keys);
        Assert.InRange(cuts.Of("easy").High, 0, 0.05);
        Assert.InRange(cuts.Of("hard").High, 0.65, 1);
    }

    private static CutInterval Tried(CutSettings cut, CutInterval interval, int threshold)
    {
        var share = cut.Draw(0, _ => 0.5, interval);
        return cut.After(interval, share, share * cut.Chunks!.Value > threshold - 0.5 ? 1 : 0);
    }

    private static ScoredRow Row(string id, int group, double share, double reward) => new(
        new Rollout
        {
            Prompt = new Prompt("", []) { Id = id },
            Tokens = [1],
            Text = "1",
            RollInLength = 0,
            Plan = new RolloutPlan(Actor.Guide, Actor.Policy, 1, RollInLengths.Share, Share: share),
            Group = group,
            WholeGuideResponse = share > 0 ? new Written([1, 2], false) : null,
            Ended = false,
            LogProbs = [0],
            Choices = [Rlgf.Models.Generation.TokenSet.All],
        },
        new RewardScore(reward));
}
