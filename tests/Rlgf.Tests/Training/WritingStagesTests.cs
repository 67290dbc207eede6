using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>Draw, write, score, and again for some prompts: rows of several plans in one iteration, grouped by what they answer and valued by their own critic.</summary>
public sealed class WritingStagesTests
{
    /// <summary>A response succeeds if it begins as the guide's do: one in nine of the policy's.</summary>
    private static double Success(string response) => response.StartsWith("11", StringComparison.Ordinal) ? 1 : 0;

    private static readonly IGuide Guide = ToyRun.Guide(3, null, _ => [0.05, 0.9, 0.05]);

    private static readonly RolloutPhase GuideBegins = new(Actor.Guide, Actor.Policy, 1, RollInLengths.Inside), GuideEnds = new(Actor.Policy, Actor.Guide, 1, RollInLengths.Limit);

    [Fact]
    public void A_second_writing_is_for_the_prompts_of_which_no_row_succeeded_and_joins_their_groups()
    {
        var (alone, _) = Run(Presets.Grpo(4));
        var (both, metrics) = Run(Presets.Grpo(4), new SecondWriting(GuideBegins, copies: 2));

        // The first stage is what it was.
        Assert.Equal(64, alone.Rollouts.Count);
        Assert.Equal(alone.Rollouts.Select(row => (row.Text, row.Group, row.RollIn)), both.Rollouts.Take(64).Select(row => (row.Text, row.Group, row.RollIn)));
        var failed = alone.Rollouts.GroupBy(row => row.Group).Where(group => group.All(row => Success(row.Text) == 0)).Select(group => group.Key).ToArray();
        Assert.InRange(failed.Length, 1, 15);
        var again = both.Rollouts.Skip(64).ToArray();
        Assert.Equal(failed.SelectMany(group => new[] { group, group }), again.Select(row => row.Group));
        Assert.All(again, row => Assert.Equal((Actor.Guide, Actor.Policy), (row.RollIn, row.RollOut)));
        Assert.Equal(again.Length, again.Count(row => row.RollInLength > 0));
        // Random numbers of their own: the second copy of a prompt is another response.
        Assert.Contains(again.Chunk(2), copies => copies[0].Text != copies[1].Text);
        Assert.Equal(again.Sum(row => row.RollInLength) / (double)both.Rollouts.Count, metrics["roll_in/length"], 9);

        // (r − mean) / (deviation + 1e-4) over all six rows of such a group, the deviation by n − 1; 0 where no row differs.
        foreach (var group in both.Rollouts.Select((row, at) => (row, at)).GroupBy(pair => pair.row.Group))
        {
            var rewards = group.Select(pair => Success(pair.row.Text)).ToArray();
            var mean = rewards.Average();
            var deviation = Math.Sqrt(rewards.Sum(r => (r - mean) * (r - mean)) / (rewards.Length - 1));
            foreach (var ((row, at), reward) in group.Zip(rewards)) Assert.Equal(deviation == 0 ? 0 : (reward - mean) / (deviation + 1e-4), both.Advantages[at][0], 1e-5);
        }
    }

    [Fact]
    public void A_stage_may_replace_rows_and_one_that_writes_nothing_changes_nothing()
    {
        var (replaced, _) = Run(Presets.Grpo(4), new SecondWriting(GuideBegins, copies: 4, replaces: true));
        Assert.Equal(64, replaced.Rollouts.Count);
        Assert.All(replaced.Rollouts.GroupBy(row => row.Group), group => Assert.True(group.All(row => row.RollIn == Actor.Guide) || group.Any(row => Success(row.Text) > 0)));
        Assert.Contains(replaced.Rollouts, row => row.RollIn == Actor.Guide);
        Assert.Equal(Weights(Presets.PpoPlusPlus()), Weights(Presets.PpoPlusPlus(), new SecondWriting(GuideBegins, copies: 0)));
    }

    /// <summary>A critic learns from the rows of its own roll-out actor, and values them.</summary>
    [Theory]
    [InlineData(CriticSharing.SharedTrunk)]
    [InlineData(CriticSharing.Separate)]
    public void Rows_of_several_plans_are_valued_by_the_critics_of_their_own_roll_outs(CriticSharing sharing)
    {
        using var policy = new TabularModel(3, 3, null);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), Guide, Success, iterations: 3) with { CriticSharing = sharing, LaterStages = [new SecondWriting(GuideEnds, copies: 3)] };
        var spy = new SpyTerm();
        using var training = new GuidedTraining(setup with { FurtherLossTerms = [spy] }, new TrainingSchedule(), new MemoryLog());
        Assert.Equal(["guide.head.bias", "guide.head.weight", "policy.head.bias", "policy.head.weight"], training.Critics.NamedParameters().Select(named => named.Name).Where(name => name.Contains("head")).Order(StringComparer.Ordinal));
        training.Run(null, resume: false, CancellationToken.None);

        var batch = spy.Last!;
        Assert.Contains(batch.Rollouts, row => row.RollOut == Actor.Guide);
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        TokenRow[] rows = [.. batch.Rollouts.Select(row => row.TokenRow)];
        var states = sharing == CriticSharing.SharedTrunk ? policy.ResponseStates(rows) : null;
        var together = training.Critics.Values([.. batch.Rollouts.Select(row => row.RollOut)], rows, states);
        var byPolicy = training.Critics.Values([.. rows.Select(_ => Actor.Policy)], rows, states);
        var byGuide = training.Critics.Values([.. rows.Select(_ => Actor.Guide)], rows, states);
        for (var row = 0; row < rows.Length; row++)
            Assert.Equal((batch.Rollouts[row].RollOut == Actor.Policy ? byPolicy : byGuide)[row].data<float>().ToArray(), together[row].data<float>().ToArray());
        Assert.True((byPolicy - byGuide).abs().max().item<float>() > 0.01);
        // Nothing of the guide's roll-outs reached V^π: with the same first stage alone it learned the same in its first iteration.
        Assert.Equal(OfPolicyAlone(), HeadAfterOneIteration(setup));

        float[] OfPolicyAlone() => HeadAfterOneIteration(setup with { LaterStages = [new SecondWriting(GuideEnds, copies: 0)] });
    }

    [Fact]
    public void What_a_later_stage_needs_is_refused_with_the_rest()
    {
        using var policy = new TabularModel(3, 3, null);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), null, Success) with { LaterStages = [new SecondWriting(GuideBegins, copies: 1)] };
        Assert.Contains("needs a guide", Assert.Throws<InputException>(() => TrainingChecks.ThrowIfImpossible(setup)).Message, StringComparison.Ordinal);
        var begins = new FunctionGuide("begins", _ => new("1", false), canRollOut: false);
        TrainingChecks.ThrowIfImpossible(setup with { Guide = begins });
        setup = setup with { Guide = begins, LaterStages = [new SecondWriting(GuideEnds, copies: 1)] };
        Assert.Contains("can only begin them", Assert.Throws<InputException>(() => TrainingChecks.ThrowIfImpossible(setup)).Message, StringComparison.Ordinal);
    }

    /// <summary>V^π's table after one step of Adam without an ε, which is the same for any multiple of a gradient: the loss is divided by more tokens where more rows are written.</summary>
    private static float[] HeadAfterOneIteration(TrainingSetup setup)
    {
        using var policy = new TabularModel(3, 3, null);
        using var training = new GuidedTraining(
            setup with { Policy = policy, Iterations = 1, Update = setup.Update with { Epochs = 1, RowsPerMinibatch = 1000, Reduction = Rlgf.Losses.LossReduction.TokenMean, MaxGradientNorm = 1e9, AdamEpsilon = 1e-30 } },
            new TrainingSchedule(), new MemoryLog());
        training.Run(null, resume: false, CancellationToken.None);
        return [.. training.Critics.NamedParameters().First(named => named.Name == "policy.head.weight").Parameter.data<float>().ToArray().Select(value => MathF.Round(value, 4))];
    }

    private static float[] Weights(AlgorithmSettings algorithm, params IWritingStage[] later)
    {
        using var policy = new TabularModel(3, 3, null);
        ToyRun.Run(ToyRun.Setup(policy, algorithm, Guide, Success, iterations: 3) with { LaterStages = later });
        return [.. policy.Logit.data<float>()];
    }

    private static ((IReadOnlyList<Rollout> Rollouts, float[][] Advantages) Rows, IReadOnlyDictionary<string, double> Metrics) Run(AlgorithmSettings algorithm, params IWritingStage[] later)
    {
        using var policy = new TabularModel(3, 3, null);
        var spy = new SpyTerm();
        var records = ToyRun.Run(ToyRun.Setup(policy, algorithm, Guide, Success, iterations: 1) with { LaterStages = later, FurtherLossTerms = [spy] });
        return ((spy.Last!.Rollouts, spy.Advantages!), records[0].Metrics);
    }

    /// <summary>Writes again, in another way, for each prompt of which no row succeeded.</summary>
    private sealed class SecondWriting(RolloutPhase phase, int copies, bool replaces = false) : IWritingStage
    {
        public IReadOnlyList<RolloutPhase> Phases => [phase];

        public IReadOnlyList<PlannedRow> Draw(int iteration, Guidance guidance, IReadOnlyList<ScoredRow> rows)
        {
            var plan = new RolloutPlan(phase.RollIn, phase.RollOut, phase.RollInProbability, phase.Lengths);
            return [.. Failed(rows).SelectMany(group => Enumerable.Repeat(new PlannedRow(group.First().Rollout.Prompt, plan, group.Key), copies))];
        }

        public IReadOnlyList<ScoredRow> Join(IReadOnlyList<ScoredRow> rows, IReadOnlyList<ScoredRow> written)
        {
            var failed = Failed(rows).Select(group => group.Key).ToHashSet();
            return [.. rows.Where(row => !replaces || !failed.Contains(row.Rollout.Group)), .. written];
        }

        private static IEnumerable<IGrouping<int, ScoredRow>> Failed(IReadOnlyList<ScoredRow> rows) => rows.GroupBy(row => row.Rollout.Group).Where(group => group.All(row => row.Score.Return == 0));
    }
}
