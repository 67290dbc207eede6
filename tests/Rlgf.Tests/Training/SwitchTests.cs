using Rlgf.Algorithms;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Training;

/// <summary>Each switch once through the loop, with an effect that can be seen.</summary>
public sealed class SwitchTests
{
    [Fact]
    public void A_penalty_in_the_loss_leaves_advantages_alone_and_changes_the_gradient_and_one_in_the_reward_changes_advantages()
    {
        var none = First(setup => setup with { Kl = new KlSettings { Coefficient = 0 } });
        var loss = First(setup => setup with { Kl = new KlSettings { Coefficient = 0.5, Placement = KlPlacement.Loss } });
        var reward = First(setup => setup with { Kl = new KlSettings { Coefficient = 0.5, Placement = KlPlacement.Reward } });
        Assert.Equal(none["advantage/mean"], loss["advantage/mean"]);
        Assert.Equal(none["advantage/deviation"], loss["advantage/deviation"]);
        Assert.True(Math.Abs(none["policy/gradient_norm"] - loss["policy/gradient_norm"]) > 1e-3);
        Assert.True(Math.Abs(none["advantage/mean"] - reward["advantage/mean"]) > 1e-3);
        Assert.Equal(none["reward/mean"], reward["reward/mean"]);
    }

    [Fact]
    public void Rewards_of_tokens_count_from_where_they_fall()
    {
        using var policy = new TabularModel(3, 3, null);
        policy.Initialise(3);
        var log = new MemoryLog();
        var setup = ToyRun.Setup(policy, Presets.Ppo() with { Lambda = 1 }, null, _ => 0, iterations: 1) with { Reward = new Ones() };
        using (var training = new GuidedTraining(setup, new TrainingSchedule(), log)) training.Run(null, resume: false, CancellationToken.None);
        // With γ = λ = 1, Â_t + V_t is all that follows from t on.
        Assert.All(log.SampleRows, row => Assert.All(row.Tokens.Select((token, t) => (token, t)), at =>
            Assert.Equal(0.5 + row.Tokens.Skip(at.t).Count(token => token.Text == "1"), at.token.Advantage + at.token.Value, 1e-5)));
    }

    [Fact]
    public void Whitened_advantages_have_no_mean_to_learn_from()
    {
        // In a first step with all tokens in one batch the loss is minus the mean of the advantages.
        static TrainingSetup OneStep(TrainingSetup setup, bool whiten) => setup with { Update = setup.Update with { Epochs = 1, RowsPerMinibatch = 64, WhitenAdvantages = whiten } };
        Assert.True(Math.Abs(First(setup => OneStep(setup, false))["loss/policy"]) > 0.1);
        Assert.Equal(0, First(setup => OneStep(setup, true))["loss/policy"], 1e-5);
    }

    [Fact]
    public void Values_that_may_not_move_stop_learning_after_the_first_step()
    {
        static TrainingSetup Epochs(TrainingSetup setup, int epochs, double? range) => setup with { Update = setup.Update with { Epochs = epochs, RowsPerMinibatch = 64, ValueClipRange = range } };
        Assert.Equal(First(setup => Epochs(setup, 1, null))["loss/value"], First(setup => Epochs(setup, 1, 1e-6))["loss/value"], 1e-6);
        var (free, clipped) = (First(setup => Epochs(setup, 8, null))["loss/value"], First(setup => Epochs(setup, 8, 1e-6))["loss/value"]);
        Assert.True(clipped > 1.2 * free, $"{clipped} with clipped values, {free} without");
    }

    /// <summary>Metrics of the first iteration of PPO, for the number of ones and one.</summary>
    private static IReadOnlyDictionary<string, double> First(Func<TrainingSetup, TrainingSetup> change)
    {
        using var policy = new TabularModel(3, 3, 2);
        using var start = new TabularModel(3, 3, 2);
        policy.Initialise(1);
        start.Initialise(2);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), null, response => 1 + response.Count(c => c == '1'), iterations: 1);
        return ToyRun.Run(change(setup with { Reference = start }))[0].Metrics;
    }

    /// <summary>1 for each token 1, and 0.5 for the response.</summary>
    private sealed class Ones : ILocalReward
    {
        public string Name => "ones";

        public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
            [.. responses.Select(response => new RewardScore(0.5) { PerToken = [.. response.Tokens.Select(token => token == 1 ? 1f : 0f)] })];
    }
}
