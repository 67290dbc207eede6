using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Checks;
using Rlgf.Guides;
using Rlgf.Lessons;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Remote;
using Rlgf.Rewards;
using Rlgf.Rewards.Remote;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Tests.Toys;
using Rlgf.Text.Data;
using Rlgf.Training;

namespace Rlgf.Tests.Checks;

/// <summary>A word where guidance that a recipe names is switched off by its numbers, and none where the numbers are the algorithm's own.</summary>
public sealed class GuidanceChecksTests
{
    private const int Horizon = 3, End = 2;

    public static TheoryData<string> Names => [.. Presets.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public void No_algorithm_is_warned_of_its_own_numbers(string name)
    {
        var algorithm = Presets.Named(name, switchIteration: 5)!;
        Assert.Empty(RunChecks.Before(Setup(algorithm) with { Kl = new KlSettings().For(algorithm) }));
    }

    [Fact]
    public void Guidance_that_numbers_switch_off_is_a_warning_of_one_line_by_its_key()
    {
        AlgorithmSettings r3 = Presets.R3(), adaBack = Presets.AdaBack(), bread = Presets.Bread(), luffy = Presets.Luffy(), uft = Presets.Uft(switchIteration: 5);
        RolloutPhase Without(RolloutPhase phase) => phase with { RollInProbability = 0 };
        RolloutPhase Cut(RolloutPhase phase, CutSettings cut) => phase with { Cut = cut.Over(null) };
        (AlgorithmSettings Algorithm, string Key, string Message)[] off =
        [
            (Presets.PpoPlusPlus(beta: 0), "algorithm.roll_in_probability", "the guide begins no response of 'ppo_plus_plus': the probability is 0"),
            (Presets.Adaptive(beta: 0), "algorithm.roll_in_probability", "'adaptive'"),
            (Presets.DrPo(beta: 0), "algorithm.roll_in_probability", "'dr_po'"),
            (uft with { First = Without(uft.First) }, "algorithm.roll_in_probability", "'uft'"),
            (new() { Name = "custom", First = new(Actor.Guide, Actor.Policy, 0, RollInLengths.Inside) }, "algorithm.first.roll_in_probability", "'custom'"),
            (luffy with { GuideRows = 0 }, "algorithm.guide_rows", "it is 0 and 'luffy' has 1"),
            (adaBack with { First = Cut(adaBack.First, new() { Rule = CutRule.Interval, NothingProbability = 1 }) }, "algorithm.cut.nothing_probability", "nothing of the guide's text is ever given in 'adaback', as this is 1"),
            (r3 with { First = Cut(r3.First, new() { Rule = CutRule.Window, High = 0 }) }, "algorithm.cut.high", "as this is 0"),
            (r3 with { First = Cut(r3.First, new() { Rule = CutRule.Binomial, Probability = 0 }) }, "algorithm.cut.probability", "as this is 0"),
            (Presets.Grpo() with { Gate = new(new CutSettings { Rule = CutRule.Window, High = 0 }.Over(null), 1) }, "algorithm.gate.cut.high", "'grpo'"),
            (luffy with { GuideCredit = 0 }, "algorithm.guide_credit.coefficient", "its weight is 0 and 'luffy' has 1"),
            (uft with { GuideCredit = 0 }, "algorithm.guide_credit.coefficient", "'uft' has 0.001"),
            (adaBack with { SuccessReward = 2 }, "algorithm.success_reward", "that takes a reward of 2 and there is none above 1, so that 'adaback' never gives less"),
            (bread with { SuccessReward = 1.5 }, "algorithm.success_reward", "so that 'bread' writes every prompt again"),
            (bread with { SuccessReward = 0 }, "algorithm.success_reward", "every row succeeds: that takes a reward of 0 and there is none below 0, so that 'bread' never asks its guide"),
        ];
        foreach (var (algorithm, key, message) in off)
        {
            var finding = Assert.Single(RunChecks.Before(Setup(algorithm) with { Kl = new KlSettings().For(algorithm) }));
            Assert.Equal((Severity.Warning, key), (finding.Severity, finding.Key));
            Assert.Contains(message, finding.Message, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', finding.Message);
        }
    }

    [Fact]
    public void What_ends_above_nothing_is_given_at_some_time()
    {
        foreach (var cut in (CutSettings[])
        [
            new() { Rule = CutRule.Window, Low = 0, High = 0, FinalHigh = 0.5, Schedule = CutSchedule.Linear, Iterations = 4 },
            new() { Rule = CutRule.Binomial, Probability = 0, FinalProbability = 0.1, Schedule = CutSchedule.Linear, Iterations = 4 },
            new() { Rule = CutRule.Interval, NothingProbability = 0.999 },
        ])
        {
            var algorithm = Presets.R3() with { First = Presets.R3().First with { Cut = cut.Over(null) } };
            Assert.Empty(GuidanceChecks.Before(Setup(algorithm)).OfType<Finding>());
        }
    }

    [Fact]
    public void A_supervised_loss_of_no_weight_is_a_warning()
    {
        var setup = Setup(Presets.Ppo());
        var finding = Assert.Single(RunChecks.Before(setup with { Supervised = new() { Coefficient = 0 } }));
        Assert.Equal("supervised.coefficient", finding.Key);
        Assert.Empty(RunChecks.Before(setup with { Supervised = new() { Coefficient = 0, FinalCoefficient = 0.1, Schedule = Rlgf.Training.LearningRateDecay.Linear } }));
    }

    [Theory]
    [InlineData("dr_po")]
    [InlineData("adaback")]
    [InlineData("luffy")]
    [InlineData("uft")]
    [InlineData("bread")]
    [InlineData("ppo_plus_plus")]
    public void References_beyond_the_limit_are_counted_with_the_longest_and_the_key_to_raise(string name)
    {
        // Tokens are digits, and the end is one more: 3, 5 and 4 of the 3 that a response may have.
        Prompt[] prompts = [.. ((string[])["01", "0110", "011"]).Select((text, i) => new Prompt("", []) { References = ["0", text], Row = DataRow.Create("d.jsonl", i + 1, ("text", "")) })];
        var setup = Setup(Presets.Named(name, 5)!) with { Guide = new ReferencesGuide(), Prompts = prompts };
        var finding = Assert.Single(RunChecks.Before(setup));
        Assert.Equal((Severity.Warning, "generation.max_new_tokens"), (finding.Severity, finding.Key));
        Assert.Equal("2 of 3 prompts have a reference that is longer than a response may be, 3 tokens: the guide 'references' gives its beginning and never its end; "
            + "the longest has 5 with its end (d.jsonl, row 2): raise this to 5, or leave such rows out by data.filter", finding.Message);

        // Without an end there is nothing to have room for.
        Assert.Contains("1 of 3 prompts", Assert.Single(GuidanceChecks.Before(setup with { Sampling = setup.Sampling with { EndTokens = [] } }).OfType<Finding>()).Message, StringComparison.Ordinal);
        Assert.Empty(RunChecks.Before(setup with { Prompts = prompts[..1] }));
        Assert.DoesNotContain(RunChecks.Before(setup with { Sampling = setup.Sampling with { MaxNewTokens = 5 } }), found => found is { Key: "generation.max_new_tokens", Severity: Severity.Warning });
        // Who writes has its own length, and who isn't asked none.
        if (name != "dr_po") Assert.Empty(RunChecks.Before(setup with { Guide = Setup(setup.Algorithm).Guide }));
        Assert.Empty(RunChecks.Before(setup with { Algorithm = Presets.Ppo() }));
    }

    [Fact]
    public void Rewards_lie_within_the_range_that_is_said_of_them()
    {
        IReward half = new LengthRangeReward("half", LengthUnit.Tokens, 1, null), length = new LengthReward("length", 4), unknown = new FunctionReward("own", _ => 7);
        Assert.Equal((0, 1), RewardRange.Of(half));
        Assert.Equal((-1, 1), RewardRange.Of(length));
        Assert.Null(RewardRange.Of(unknown));
        Assert.Equal((-2, 1), RewardRange.Of(new StackProgramReward("s", failures: new FailureRule(-2))));
        // 2 · [0, 1] − 3 · [−1, 1].
        Assert.Equal((-3, 5), RewardRange.Of(new WeightedReward([(half, 2), (length, -3)])));
        Assert.Null(RewardRange.Of(new WeightedReward([(half, 2), (unknown, 1)])));
        Assert.Equal((0, 2), RewardRange.Of(new TransformedReward(length, ScoreTransform.Complement, null, null)));
        Assert.Equal((0, 1), RewardRange.Of(new TransformedReward(unknown, ScoreTransform.Sigmoid, null, null)));
        Assert.Equal((-0.5, 0.25), RewardRange.Of(new TransformedReward(unknown, null, -0.5, 0.25)));
        Assert.Null(RewardRange.Of(new TransformedReward(unknown, ScoreTransform.SquareRoot, null, null)));
        Assert.Equal((0, 3), RewardRange.Of(new TransformedReward(unknown, ScoreTransform.SquareRoot, null, 3)));
        Assert.Equal((0, Math.Log(2)), RewardRange.Of(new TransformedReward(half, ScoreTransform.LogOnePlus, null, null)));
        using var judge = new ModelJudgeReward("judge", new EndpointSettings { Address = new Uri("http://localhost:1/") }, new() { Model = "m", Template = "{response}", AtMost = 10 }, new FailureRule());
        Assert.Equal((0, 10), RewardRange.Of(judge));
    }

    [Fact]
    public void A_guide_that_never_teaches_is_said_once_when_its_window_is_full()
    {
        // Eight rows an iteration, all with a roll-in or without: the guide's window of 16 is full after some iterations, and the reward is the same for all.
        using var policy = new TabularModel(3, Horizon, End);
        var log = new Warnings();
        Run(Setup(Presets.Adaptive(0.9) with { Lessons = new LessonSettings { Window = 16, RowsPerStep = 4 } }) with { Reward = new FunctionReward("r", _ => 0.25), RowsPerIteration = 8, Iterations = 12 }, log);
        var (iteration, message) = Assert.Single(log.Said);
        Assert.InRange(iteration, 2, 6);
        Assert.StartsWith("no lesson in the guide's first 16 whole answers, nor in the policy's own: all rewards are 0.25, so that there is nothing to remember and the guide is asked in full; try a guide that is right more often", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);

        // A guide that is worse than the policy, which finds lessons by itself.
        log = new Warnings();
        Run(Setup(Presets.Adaptive(0.6) with { Lessons = new LessonSettings { Window = 48, RowsPerStep = 4 } }) with
        {
            Guide = ToyRun.Guide(Horizon, End, _ => [0, 0, 1]),
            Prompts = [.. Enumerable.Range(0, 400).Select(i => new Prompt("", []) { Id = $"{i}" })],
            Reward = new FunctionReward("r", response => response.Text.Length),
            RowsPerIteration = 64,
            Iterations = 30,
        }, log);
        Assert.StartsWith("none of the guide's first 48 whole answers was better than what the policy is expected to get, and some of the policy's own were: it is asked at 0.05 of its probability", Assert.Single(log.Said).Message, StringComparison.Ordinal);

        // One that teaches is not warned of, and without a window that is full nothing is known.
        foreach (var window in (int[])[16, 100_000])
        {
            log = new Warnings();
            Run(Setup(Presets.Adaptive() with { Lessons = new LessonSettings { Window = window } }) with { Reward = new FunctionReward("r", response => window == 16 ? response.Text.Length : 0), RowsPerIteration = 32 }, log);
            Assert.Empty(log.Said);
        }
    }

    private static void Run(TrainingSetup setup, IRunLog log)
    {
        using var training = new GuidedTraining(setup, new TrainingSchedule { CheckpointEvery = 0, EvaluateEvery = 0 }, log);
        training.Run(null, resume: false, CancellationToken.None);
    }

    private static TrainingSetup Setup(AlgorithmSettings algorithm)
    {
        var policy = new TabularModel(3, Horizon, End);
        var tokenizer = new DigitTokenizer(3, End);
        IGuide guide = algorithm.NeedsReferences
            ? new ReferencesGuide()
            : new LocalModelGuide("toy guide", policy.Clone(), tokenizer, tokenizer, new SamplingSettings { MaxNewTokens = Horizon, EndTokens = [End] });
        var setup = ToyRun.Setup(policy, algorithm, guide, _ => 0);
        return setup with
        {
            Reward = new EndedReward("ended"),
            Prompts = [new Prompt("", []) { References = ["01"] }],
            Kl = new KlSettings { Coefficient = 0.05 },
            Update = new UpdateSettings().For(algorithm),
        };
    }

    private sealed class Warnings : IRunLog
    {
        public List<(int Iteration, string Message)> Said { get; } = [];
        public void Warning(int iteration, string message) => Said.Add((iteration, message));
        public void Iteration(IterationRecord record) { }
        public void Evaluation(Rlgf.Evaluation.EvaluationRecord record) { }
        public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) { }
    }
}
