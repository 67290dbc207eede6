using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using Rlgf.Worth;

namespace Rlgf.Tests.Worth;

/// <summary>Tasks that are built to fail in one of the known ways, and tasks that don't fail, of which no seed may give an alarm.</summary>
public sealed class WorthSignsTests
{
    private const string Combination = "12021201";

    private static readonly GuideWorthSettings Measured = new() { Share = 0.25, Window = 6 };

    private static double Ones(string response) => response.Count(c => c == '1') / 3.0;

    private static double Lock(string response) => response == Combination ? 1 : 0;

    private static IGuide WritesOnes(double p) => ToyRun.Guide(3, null, _ => [(1 - p) / 2, p, (1 - p) / 2]);

    private static readonly IGuide KnowsTheLock = ToyRun.Guide(8, null, prefix =>
    {
        var p = new double[] { 0.05, 0.05, 0.05 };
        p[Combination[Math.Min(prefix.Length, 7)] - '0'] = 0.9;
        return p;
    });

    [Fact]
    public void A_guide_that_goes_on_finishing_what_the_policy_finishes_better_is_said()
    {
        using var policy = new TabularModel(3, 3, null);
        var said = Warnings(ToyRun.Setup(policy, Presets.AggreVaTeD(0.9), WritesOnes(0.4), Ones, iterations: 60));
        var (iteration, message) = Assert.Single(said);
        Assert.StartsWith("the policy finishes its own beginnings better than the guide, by 0.", message, StringComparison.Ordinal);
        Assert.Contains($"d2lols with algorithm.switch_iteration: {iteration}", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_switch_before_the_policy_gained_anything_is_said_at_the_switch()
    {
        using var policy = new TabularModel(3, 3, null);
        var setup = ToyRun.Setup(policy, Presets.D2Lols(8, 0.5), WritesOnes(0.9), Ones, iterations: 12);
        var said = Warnings(setup with { Update = setup.Update with { LearningRate = 1e-5 }, RowsPerIteration = 512 });
        var (iteration, message) = Assert.Single(said);
        Assert.Equal(8, iteration);
        Assert.StartsWith("'d2lols' goes over to the policy's own endings now, and the guide still finishes better, by 0.", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_policy_that_can_not_do_what_its_guide_does_is_said()
    {
        // The answer is the prompt, which the table doesn't see: half of the answers are right at best.
        using var policy = new TabularModel(2, 1, null);
        var setup = ToyRun.Setup(policy, Presets.PpoPlusPlus(0.5), new FunctionGuide("sees", request => new(request.Prompt.Text, false, [request.Prompt.Text[0] - '0'])), _ => 0, iterations: 40) with
        {
            Prompts = [new Prompt("0", []), new Prompt("1", [])],
            Reward = new FunctionReward("same", response => response.Prompt.Text[0] - '0' == response.Tokens[0] ? 1 : 0),
            RowsPerIteration = 512,
        };
        var (_, message) = Assert.Single(Warnings(setup));
        Assert.Contains("it may be too small for the task", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_guide_that_writes_what_the_policy_never_writes_is_said()
    {
        using var policy = new TabularModel(3, 3, null, _ => [0, 0, -12]);
        var (_, message) = Assert.Single(Warnings(ToyRun.Setup(policy, Presets.Ppo(), ToyRun.Guide(3, null, _ => [0, 0, 1]), response => response == "222" ? 1 : 0, iterations: 20)));
        Assert.Contains("nats less likely to it than one of its own", message, StringComparison.Ordinal);
        Assert.Contains("adaptive, which imitates them", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Guidance_that_works_gives_no_alarm() => NoAlarms(1);

    [Fact(Explicit = true)]
    [Trait("Category", "Long")]
    public void Guidance_that_works_gives_no_alarm_in_twenty_seeds() => NoAlarms(20);

    private static void NoAlarms(int seeds)
    {
        for (var seed = 1UL; seed <= (ulong)seeds; seed++)
        {
            NoAlarm(8, Presets.PpoPlusPlus(0.8), KnowsTheLock, Lock, 40, seed);
            NoAlarm(8, Presets.Adaptive(), KnowsTheLock, Lock, 40, seed);
            NoAlarm(3, Presets.AggreVaTeD(0.9), WritesOnes(0.9), Ones, 12, seed);
            NoAlarm(3, Presets.D2Lols(6, 0.5), WritesOnes(0.4), Ones, 40, seed);
            NoAlarm(3, Presets.Lols(0.8, 0.9), WritesOnes(0.9), Ones, 12, seed);
            NoAlarm(3, Presets.Ppo(), WritesOnes(0.9), Ones, 40, seed);
        }

        static void NoAlarm(int horizon, AlgorithmSettings algorithm, IGuide guide, Func<string, double> reward, int iterations, ulong seed)
        {
            using var policy = new TabularModel(3, horizon, null);
            var said = Warnings(ToyRun.Setup(policy, algorithm, guide, reward, iterations, seed));
            Assert.True(said.Count == 0, $"{algorithm.Name}, seed {seed}: {string.Join("; ", said)}");
        }
    }

    [Fact]
    public void An_algorithm_may_switch_when_the_gap_is_closed()
    {
        using var policy = new TabularModel(3, 3, null);
        var records = ToyRun.Run(ToyRun.Setup(policy, Presets.D2Lols(1000, 0.5) with { SwitchAtGap = 0 }, WritesOnes(0.4), Ones, iterations: 40) with { GuideWorth = Measured });
        var first = records.ToList().FindIndex(record => record.Plan.RollOut == Actor.Policy);
        Assert.InRange(first, Measured.Window, 39);
        Assert.True(records[first - 1].Metrics["worth/gap"] <= 0);
        Assert.All(records.Take(first), record => Assert.Equal(Actor.Guide, record.Plan.RollOut));
        Assert.All(records.Take(first - 1).Skip(Measured.Window - 1), record => Assert.True(record.Metrics["worth/gap"] > 0));
        Assert.All(records.Skip(first), record => Assert.Equal(Actor.Policy, record.Plan.RollOut));
    }

    private static List<(int Iteration, string Message)> Warnings(TrainingSetup setup)
    {
        var log = new MemoryLog();
        using var training = new GuidedTraining(setup with { GuideWorth = Measured }, new TrainingSchedule { CheckpointEvery = 0, EvaluateEvery = 0 }, log);
        training.Run(null, resume: false, CancellationToken.None);
        return log.Warnings;
    }
}
