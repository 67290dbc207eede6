using Rlgf.Algorithms;
using Rlgf.Losses;
using Rlgf.Models.Generation;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>The loss is a list of terms: a fifth is added without a change to the learner or to what the others measure.</summary>
public sealed class LossTermTests
{
    private static readonly Func<string, double> Ones = response => response.Count(c => c == '1');

    [Fact]
    public void A_term_that_falls_on_nothing_changes_nothing()
    {
        var (weights, metrics) = Run(null);
        var (with, more) = Run(new Imitation(weight: 1, onNothing: true));
        Assert.Equal(weights, with);
        Assert.Equal(0, more["loss/imitation"]);
        foreach (var (name, value) in metrics.Where(metric => !metric.Key.StartsWith("seconds/", StringComparison.Ordinal))) Assert.Equal(value, more[name]);
    }

    [Fact]
    public void A_fifth_term_trains_and_measures_and_leaves_the_others_statistics_alone()
    {
        var (_, metrics) = Run(new Imitation(weight: 3), reward: _ => 1, epochs: 1);
        var (_, without) = Run(null, reward: _ => 1, epochs: 1);
        // Before the first step the policy is even: −log ⅓ on each token, and a third of the tokens are ones. The weight is not in what is logged.
        Assert.Equal(Math.Log(3) * metrics["imitation/share"], metrics["loss/imitation"], 1e-5);
        Assert.InRange(metrics["imitation/share"], 0.2, 0.45);
        foreach (var name in new[] { "loss/policy", "loss/value", "policy/clip_fraction", "policy/kl_to_old", "critic/gradient_norm" }) Assert.Equal(without[name], metrics[name]);
        Assert.NotEqual(without["policy/gradient_norm"], metrics["policy/gradient_norm"]);

        using var policy = new TabularModel(3, 3, null);
        ToyRun.Run(ToyRun.Setup(policy, Presets.Ppo(), null, _ => 1, iterations: 15) with { FurtherLossTerms = [new Imitation(weight: 3)] });
        Assert.InRange(policy.Probabilities([])[1], 0.8, 1);
    }

    [Fact]
    public void Splitting_a_minibatch_changes_a_fifth_term_by_rounding_only()
    {
        var (whole, metrics) = Run(new Imitation(weight: 3));
        var (split, parts) = Run(new Imitation(weight: 3), microBatch: 5);
        Assert.All(whole.Zip(split), pair => Assert.Equal(pair.First, pair.Second, 1e-4));
        Assert.Equal(metrics["loss/imitation"], parts["loss/imitation"], 1e-4);
        Assert.Equal(metrics["imitation/share"], parts["imitation/share"], 1e-6);
    }

    /// <summary>Supervised learning beside RL: rows of a second data source, which the term reads itself; the learner only adds.</summary>
    [Fact]
    public void A_term_may_bring_rows_of_its_own()
    {
        using var policy = new TabularModel(3, 3, null);
        var term = new Supervised(policy, [[2, 2, 2], [2, 2, 1]]);
        var records = ToyRun.Run(ToyRun.Setup(policy, Presets.Ppo(), null, _ => 1, iterations: 15) with { FurtherLossTerms = [term] });
        // −log ⅓ a token of the even start, less after each step: what the texts say is learned, and that two of them differ in the end.
        Assert.InRange(records[0].Metrics["loss/supervised"], 0.8, Math.Log(3));
        Assert.InRange(policy.Probabilities([])[2], 0.8, 1);
        Assert.InRange(policy.Probabilities([2, 2])[2], 0.3, 0.6);
        Assert.InRange(policy.Probabilities([2, 2])[1], 0.3, 0.6);
    }

    [Fact]
    public void Each_row_gives_the_guide_the_credit_of_its_own_plan()
    {
        using var scope = NewDisposeScope();
        var batch = RolloutBatch.From([Row(credit: 2), Row(credit: 0.5), Row(credit: 0)]);
        var data = new LearningBatch(batch, zeros_like(batch.LogProbs), null, null, zeros_like(batch.LogProbs));
        var term = new GuideCreditTerm(GuideCreditWeight.One).Prepare(data)!;
        var logProbs = tensor(new[,] { { -1f, -2 }, { -3, -4 }, { -5, -6 } }).requires_grad_();
        var loss = term.Compute(new LearningPart([0, 1, 2], tensor(new long[] { 0, 1, 2 }), logProbs, null), MaskedReduction.Denominator(term.Mask, term.Normaliser)).Loss;
        loss.backward();
        // Over six tokens: (2 · (1 + 2) + 0.5 · (3 + 4) + 0) / 6.
        Assert.Equal(9.5 / 6, loss.item<float>(), 1e-6);
        Assert.All(new[] { -2 / 6f, -2 / 6f, -0.5f / 6, -0.5f / 6, 0, 0 }.Zip(logProbs.grad!.data<float>().ToArray()), pair => Assert.Equal(pair.First, pair.Second, 1e-6));
        Assert.Null(new GuideCreditTerm(GuideCreditWeight.One).Prepare(data with { Batch = RolloutBatch.From([Row(credit: 0)]) }));
    }

    [Fact]
    public void Statistics_of_parts_are_means_over_all_tokens()
    {
        static TermStatistics Of(long tokens, double value) => new(tokens, new Dictionary<string, double> { ["x"] = value });
        var merged = TermStatistics.Merge([Of(1, 4), Of(3, 8), new(0, new Dictionary<string, double>()), Of(0, 0)]);
        Assert.Equal((4, 7.0), (merged.Tokens, merged.Means["x"]));
        Assert.Equal(0, TermStatistics.Merge([Of(0, 0)]).Means["x"]);
        Assert.Empty(TermStatistics.Merge([]).Means);
    }

    [Fact]
    public void Clipped_values_and_the_KL_of_the_loss_are_measured_where_there_are_any()
    {
        var (_, without) = Run(null);
        Assert.DoesNotContain("critic/clip_fraction", without.Keys);
        Assert.DoesNotContain("loss/kl", without.Keys);

        using var policy = new TabularModel(3, 3, null);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), null, Ones, iterations: 3);
        using var reference = new TabularModel(3, 3, null, _ => [0, 1, 0]);
        var records = ToyRun.Run(setup with { Reference = reference, Kl = new KlSettings { Coefficient = 0.01, Placement = KlPlacement.Loss }, Update = setup.Update with { ValueClipRange = 1e-3 } });
        // Values move by up to the learning rate, 0.1, in a step; the first step's haven't moved yet.
        Assert.All(records, record => Assert.InRange(record.Metrics["critic/clip_fraction"], 0.1, 0.9));
        // KL(π‖π_0) of the even policy in k3's estimate, whose mean is the KL: log ⅓ − mean of log π_0.
        var expected = Math.Log(Math.E + 2) - 1.0 / 3 - Math.Log(3);
        Assert.Equal(expected, records[0].Metrics["loss/kl"], 0.1);
    }

    /// <summary>The first step finds the policy that wrote the rows, at a KL of 0; the second finds it moved.</summary>
    [Fact]
    public void An_update_ends_before_the_step_that_finds_the_policy_too_far()
    {
        var (one, _) = Of(epochs: 1, target: null);
        var (all, free) = Of(epochs: 4, target: null);
        var (ended, metrics) = Of(epochs: 4, target: 1e-9);
        var (far, unbound) = Of(epochs: 4, target: 1e6);
        Assert.Equal(one, ended);
        Assert.Equal((1, 0.0), (metrics["update/steps"], metrics["policy/kl_to_old"]));
        Assert.Equal(all, far);
        Assert.Equal(4, unbound["update/steps"]);
        Assert.NotEqual(one, all);
        Assert.DoesNotContain("update/steps", free.Keys);

        // The KL that each of the four steps finds, from runs that are as many steps long; a target between two of them ends the update there.
        double[] found = [.. Enumerable.Range(1, 4).Select(steps => Of(steps, null).Metrics["policy/kl_to_old"] * steps)];
        var third = found[2] - found[1];
        Assert.True(third > found[1] && found[1] > 0);
        var (two, third2) = Of(epochs: 4, target: third / 1.5 * 0.99);
        Assert.Equal(2, third2["update/steps"]);
        Assert.Equal(Of(epochs: 2, target: null).Weights, two);

        static (float[] Weights, IReadOnlyDictionary<string, double> Metrics) Of(int epochs, double? target)
        {
            using var policy = new TabularModel(3, 3, null);
            var setup = ToyRun.Setup(policy, Presets.Ppo(), null, Ones, iterations: 1);
            var records = ToyRun.Run(setup with { Update = setup.Update with { AdamEpsilon = 1e-3, Epochs = epochs, RowsPerMinibatch = setup.RowsPerIteration, TargetKl = target } });
            return ([.. policy.Logit.data<float>()], records[0].Metrics);
        }
    }

    [Fact]
    public void An_update_has_a_first_step_however_far_the_policy_is_found_from_what_wrote_its_rows()
    {
        // As by rounding, where rows are written by other products than those that learn from them.
        using var policy = new TabularModel(3, 3, null);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), null, Ones, iterations: 2);
        var records = ToyRun.Run(setup with { FurtherLossTerms = [new FarFromOld()], Update = setup.Update with { Epochs = 3, TargetKl = 1e-9 } });
        Assert.Equal([1.0, 1.0], records.Select(record => record.Metrics["update/steps"]));
    }

    private static (float[] Weights, IReadOnlyDictionary<string, double> Metrics) Run(ILossTerm? term, Func<string, double>? reward = null, int microBatch = 0, int? epochs = null)
    {
        using var policy = new TabularModel(3, 3, null);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), null, reward ?? Ones, iterations: epochs is null ? 3 : 1);
        var records = ToyRun.Run(setup with
        {
            FurtherLossTerms = term is null ? [] : [term],
            Update = setup.Update with { RowsPerMicroBatch = microBatch, AdamEpsilon = 1e-3, Epochs = epochs ?? 2, RowsPerMinibatch = epochs is null ? 32 : 64 },
        });
        return ([.. policy.Logit.data<float>()], records[0].Metrics);
    }

    private static Rollout Row(double credit) => new()
    {
        Prompt = new("", []), Tokens = [0, 1], Text = "01", RollInLength = 2, Plan = new RolloutPlan(Actor.Guide, Actor.Policy, 1, RollInLengths.Limit, credit), Ended = true,
        LogProbs = [float.NaN, float.NaN], Choices = [TokenSet.All, TokenSet.All],
    };

    /// <summary>Nothing to learn, but that the policy is found far away.</summary>
    private sealed class FarFromOld : ILossTerm
    {
        public string Name => "far";

        public TermOfRows Prepare(LearningBatch data) => new()
        {
            Mask = data.Batch.TrainsPolicy,
            Compute = (part, _) => new(part.LogProbs.sum() * 0, new(tensor(1.0), new Dictionary<string, Tensor> { ["policy/kl_to_old"] = tensor(1.0) })),
        };
    }

    /// <summary>−log π of texts that somebody wrote, all of them in every part.</summary>
    private sealed class Supervised(TabularModel policy, int[][] texts) : ILossTerm
    {
        public string Name => "supervised";

        public TermOfRows Prepare(LearningBatch data) => new()
        {
            Mask = zeros_like(data.Batch.IsPolicy),
            Compute = (_, _) => new(-TokenLogProbs.OfRows(policy, [.. texts.Select(text => new Rlgf.Models.TokenRow([], text))]).mean()),
        };
    }

    /// <summary>−log π of every 1 that the policy wrote, over all its tokens.</summary>
    private sealed class Imitation(double weight, bool onNothing = false) : ILossTerm
    {
        public string Name => "imitation";

        public TermOfRows Prepare(LearningBatch data)
        {
            var mask = onNothing ? zeros_like(data.Batch.IsPolicy) : data.Batch.IsPolicy;
            var isOne = data.Batch.Tokens.eq(1);
            return new()
            {
                Mask = mask,
                Weight = weight,
                Compute = (part, denominator) =>
                {
                    var (of, ones) = (part.Pick(mask), part.Pick(isOne).to(ScalarType.Float32));
                    return new(MaskedReduction.Apply(-part.LogProbs * ones, of, LossReduction.TokenMean, denominator), new(of.sum(), new Dictionary<string, Tensor> { ["imitation/share"] = ones.masked_select(of).sum() }));
                },
            };
        }
    }
}
