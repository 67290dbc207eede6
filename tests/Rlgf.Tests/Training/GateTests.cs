using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Training;

/// <summary>Further writing for prompts of which no row succeeded: who is written for, from where, what becomes of the rows, and what it costs.</summary>
public sealed class GateTests
{
    private const string Answer = "12121212";

    /// <summary>A prompt of which every response succeeds, one that needs a half of the answer given, one that needs three quarters, and one that is never answered.</summary>
    private static readonly Prompt[] Prompts = [.. ((string[])["easy0", "half4", "most6", "never9"]).Select(id => new Prompt("", []) { Id = id, References = [Answer] })];

    private static readonly IReward Reward = new FunctionReward("needs", response =>
    {
        var needed = response.Prompt.Id[^1] - '0';
        return needed <= 8 && string.Concat(response.Tokens).StartsWith(Answer[..needed], StringComparison.Ordinal) ? 1 : 0;
    });

    [Fact]
    public void A_ladder_gives_more_until_a_row_succeeds_and_solved_prompts_cost_nothing()
    {
        var (batch, metrics, _, guide) = Run(Presets.Ghpo(4));
        var groups = batch.GroupBy(row => row.Prompt.Id).ToDictionary(group => group.Key, group => group.ToArray());
        Assert.All(groups.Values, rows => Assert.Equal(4, rows.Length));
        // Shares of 8 tokens: nothing, a half at the second step, three quarters at the third; the last rows of one that never succeeds.
        Assert.Equal((0, 4, 6, 6), (Of("easy0"), Of("half4"), Of("most6"), Of("never9")));
        Assert.All(groups["easy0"], row => Assert.True(row.IsByPolicyAlone));
        // Written again: three prompts behind 2, three behind 4, two behind 6; of each the answer once, and what the policy wrote of it.
        Assert.Equal(3 + 3 + 2, guide.Asked);
        Assert.Equal(0.75, metrics["gate/share"]);
        Assert.Equal((3 + 3 + 2) * 8 + 4 * (3 * 6 + 3 * 4 + 2 * 2), metrics["gate/tokens"]);
        Assert.Equal(16 * 8 + 4 * (3 * 6 + 3 * 4 + 2 * 2), metrics["tokens/policy"]);
        Assert.Equal(8 * 8, metrics["tokens/guide"]);

        int Of(string id) => Assert.Single(groups[id].Select(row => row.RollInLength).Distinct());
    }

    [Fact]
    public void New_rows_may_join_those_that_failed()
    {
        var (batch, _, _, _) = Run(Presets.Ghpo(4) with { Gate = Presets.Ghpo(4).Gate! with { Rows = GateRows.Join } });
        Assert.Equal((4, 12, 16, 16), (Count("easy0"), Count("half4"), Count("most6"), Count("never9")));
        Assert.Equal([0, 2, 4], batch.Where(row => row.Prompt.Id == "half4").Select(row => row.RollInLength).Distinct());

        int Count(string id) => batch.Count(row => row.Prompt.Id == id);
    }

    [Fact]
    public void Halving_settles_at_each_prompts_own_place_and_goes_on_from_there()
    {
        var (batch, metrics, state, _) = Run(Presets.Bread(4) with { Gate = Presets.Bread(4).Gate! with { Cut = new CutSettings { Rule = CutRule.Bisect, Chunks = 8 }.Over(null), Rounds = 3 } });
        // log2 of eight parts is three trials; success is certain from the place on, so that none is in the band.
        Assert.Equal((0.5, 0.75), (state.Cuts!.Of("half4").High, state.Cuts.Of("most6").High));
        Assert.Equal(["half4", "most6", "never9"], state.Cuts.Prompts.Keys);
        // Trained on: the rows of the last trial that had a success.
        Assert.Equal([4], batch.Where(row => row.Prompt.Id == "half4").Select(row => row.RollInLength).Distinct());
        Assert.Equal([6], batch.Where(row => row.Prompt.Id == "most6").Select(row => row.RollInLength).Distinct());
        Assert.Equal(0.75, metrics["gate/share"]);
    }

    [Fact]
    public void Where_every_prompt_has_a_success_it_is_GRPO_number_for_number()
    {
        foreach (var algorithm in new[] { Presets.Ghpo(4), Presets.Bread(4) })
        {
            Assert.Equal(Weights(Presets.Grpo(4), 0), Weights(algorithm, 0));
            Assert.NotEqual(Weights(Presets.Grpo(4), 2), Weights(algorithm, 2));
        }

        // Success from a reward on; the reward is the number of ones.
        static float[] Weights(AlgorithmSettings algorithm, double successReward)
        {
            using var policy = new TabularModel(3, 3, null);
            var setup = ToyRun.Setup(policy, algorithm with { SuccessReward = successReward }, new ReferencesGuide(), response => response.Count(c => c == '1'), iterations: 3);
            ToyRun.Run(setup with { Prompts = [new Prompt("", []) { References = ["112"] }] });
            return [.. policy.Logit.data<float>()];
        }
    }

    /// <summary>The gate of HPT never open is its base, always open supervised training: one optimiser step of each, on two prompts whose texts fill a response, so that the policy writes nothing of them.</summary>
    [Fact]
    public void HPT_is_Dr_GRPO_where_rows_succeed_and_supervised_training_where_none_does()
    {
        SupervisedLossSettings supervised = new() { Coefficient = 1, Blend = true };
        Assert.Equal(Weights(Presets.DrGrpo(4), null), Weights(Presets.Hpt(4) with { SuccessReward = 0 }, null));
        var taught = Weights(Presets.Hpt(4) with { SuccessReward = 9 }, null);
        Assert.All(Weights(Presets.DrGrpo(4), supervised).Zip(taught), pair => Assert.Equal(pair.First, pair.Second, 1e-6));
        // By hand: from a uniform policy the first step of Adam moves each logit by the learning rate, towards the texts' tokens, 1 after nothing, 1 or 2 after that; 0 goes down in both places.
        Assert.Equal([-0.05f, 0.05f, -0.05f], taught[..3].Select(x => MathF.Round(x, 4)));
        Assert.NotEqual(Weights(Presets.DrGrpo(4), null), taught);

        static float[] Weights(AlgorithmSettings algorithm, SupervisedLossSettings? supervised)
        {
            using var policy = new TabularModel(3, 3, null);
            var setup = ToyRun.Setup(policy, algorithm, new ReferencesGuide(), response => response.Count(c => c == '0'), iterations: 1);
            ToyRun.Run(setup with
            {
                Prompts = [new Prompt("", []) { Id = "a", References = ["112"] }, new Prompt("", []) { Id = "b", References = ["121"] }],
                Supervised = supervised,
                Update = setup.Update with { Epochs = 1, RowsPerMinibatch = 64, Reduction = algorithm.PolicyLoss.Reduction },
            });
            return [.. policy.Logit.data<float>()];
        }
    }

    [Fact]
    public void A_gate_without_a_guide_is_refused()
    {
        using var policy = new TabularModel(3, 3, null);
        Assert.Contains("'ghpo' needs a guide", Assert.Throws<InputException>(() => TrainingChecks.ThrowIfImpossible(ToyRun.Setup(policy, Presets.Ghpo(4), null, _ => 0))).Message, StringComparison.Ordinal);
    }

    private static (IReadOnlyList<Rollout> Batch, IReadOnlyDictionary<string, double> Metrics, TrainingState State, Counting Guide) Run(AlgorithmSettings algorithm)
    {
        // It writes zeros and nothing else, so that what a prompt needs is given or isn't there.
        using var policy = new TabularModel(3, 8, null, _ => [30, 0, 0]);
        var (spy, guide, log) = (new SpyTerm(), new Counting(), new MemoryLog());
        var setup = ToyRun.Setup(policy, algorithm, guide, _ => 0, iterations: 1) with { Reward = Reward, Prompts = Prompts, RowsPerIteration = 16, FurtherLossTerms = [spy] };
        using var training = new GuidedTraining(setup, new TrainingSchedule { CheckpointEvery = 0, EvaluateEvery = 0 }, log);
        var state = training.Run(null, resume: false, CancellationToken.None);
        return (spy.Last!.Rollouts, log.Iterations[0].Metrics, state, guide);
    }

    /// <summary>The references, counted.</summary>
    private sealed class Counting : ILocalGuide
    {
        private readonly ReferencesGuide _references = new();

        public int Asked { get; private set; }

        public string Name => "counting";

        public bool CanRollOut => false;

        public IReadOnlyList<GuideContinuation?> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken)
        {
            Asked += requests.Count;
            return _references.Continue(requests, cancellationToken);
        }
    }
}
