using Rlgf.Algorithms;
using Rlgf.Evaluation;
using Rlgf.Losses;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Training;

/// <summary>What the task says of a response, and nothing else, decides advantages, metrics, evaluations and the gap.</summary>
public sealed class TaskRewardTests
{
    [Theory]
    [InlineData("grpo", KlPlacement.Reward, KlEstimator.K1, true)]
    [InlineData("grpo", KlPlacement.Reward, KlEstimator.K1, false)]
    [InlineData("grpo", KlPlacement.Loss, KlEstimator.K3, true)]
    [InlineData("rloo", KlPlacement.Reward, KlEstimator.K1, true)]
    [InlineData("rloo", KlPlacement.Reward, KlEstimator.K1, false)]
    [InlineData("rloo", KlPlacement.Loss, KlEstimator.K2, false)]
    public void Groups_of_equal_rewards_have_no_advantage_wherever_the_penalty_is(string algorithm, KlPlacement placement, KlEstimator estimator, bool whiten)
    {
        using var policy = new TabularModel(3, 3, 2);
        policy.Initialise(4);
        var start = policy.Logit.data<float>().ToArray();
        var setup = ToyRun.Setup(policy, Presets.Named(algorithm, 0)!, null, _ => 0.3, iterations: 5);
        // A reference that computes the same with other rounding, as batches of other widths do.
        using var reference = new TabularModel(3, 3, 2, prefix => [.. Enumerable.Range(0, 3).Select(token => start[policy.IndexOf(prefix) * 3 + token] + 1e-6 * Math.Sin(prefix.Sum() * 7 + token))]);
        var records = ToyRun.Run(setup with
        {
            Reference = reference,
            Kl = new KlSettings { Coefficient = 0.03, Placement = placement, Estimator = estimator },
            Update = setup.Update with { WhitenAdvantages = whiten, AdamEpsilon = 1 }, // Steps as large as the gradient, not as the learning rate.
        });
        Assert.All(records, record =>
        {
            Assert.Equal(0, record.Metrics["advantage/mean"]);
            Assert.Equal(0, record.Metrics["advantage/deviation"]);
        });
        // The rounding of a difference of log-probabilities is all that there is to learn from.
        Assert.All(start.Zip(policy.Logit.data<float>().ToArray()), pair => Assert.Equal(pair.First, pair.Second, 1e-6));
    }

    [Fact]
    public void Rewards_of_single_tokens_count_in_metrics_samples_evaluations_and_the_gap()
    {
        using var policy = new TabularModel(3, 3, null);
        var guide = ToyRun.Guide(3, null, _ => [0.1, 0.8, 0.1]);
        var dense = new Dense();
        var setup = ToyRun.Setup(policy, Presets.AdaptiveV1(), guide, _ => 0, iterations: 1) with { Reward = dense };
        var log = new MemoryLog();
        var evaluator = new Evaluator
        {
            Prompts = [.. Enumerable.Repeat(setup.Prompts[0], 40)], Sampling = setup.Sampling, Reward = dense, Judge = dense, Reference = setup.Reference, Tokenizer = setup.Tokenizer,
        };
        using (var training = new GuidedTraining(setup, new TrainingSchedule(), log, evaluator)) training.Run(null, resume: false, CancellationToken.None);

        // In every response a 1 is worth 1, wherever it stands, and the end 0.5.
        static double Worth(string response) => 0.5 + response.Count(c => c == '1');
        var metrics = Assert.Single(log.Iterations).Metrics;
        Assert.InRange(metrics["reward/mean"], 1.2, 2.5);
        Assert.InRange(metrics["reward/deviation"], 0.5, 1.2);
        Assert.All(log.SampleRows, row => Assert.Equal(Worth(string.Concat(row.Tokens.Select(token => token.Text))), row.Reward, 6));
        Assert.All(log.Evaluations.SelectMany(evaluation => evaluation.Rows), row =>
        {
            Assert.Equal(Worth(row.Response), row.Reward, 6);
            Assert.Equal(Worth(row.Response), row.Judge, 6);
        });
        // The guide writes 2.4 ones of 3, the policy 1, whose deviation is √(3 · 2/9) = 0.8: a gap of 1.7.
        Assert.InRange(metrics["gap/smoothed"], 1, 2.5);
        Assert.Equal(metrics["reward/mean"], metrics["reward/part/of one"], 6);
    }

    /// <summary>1 for each token 1, and 0.5 for the response.</summary>
    private sealed class Dense : IReward
    {
        public string Name => "dense";

        public Task<IReadOnlyList<RewardScore>> ScoreAsync(IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
            new WeightedReward([(new Part(), 1)]).ScoreAsync(responses, cancellationToken);

        private sealed class Part : ILocalReward
        {
            public string Name => "of one";

            public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
                [.. responses.Select(response => new RewardScore(0.5) { PerToken = [.. response.Tokens.Select(token => token == 1 ? 1f : 0f)] })];
        }
    }
}
