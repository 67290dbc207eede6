using Rlgf.Algorithms;
using Rlgf.Losses;
using Rlgf.Models.Generation;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>A KL penalty in the reward of a group estimator: outside the normalisation, and still the penalty.</summary>
public sealed class GroupPenaltyTests
{
    private const double Coefficient = 0.3;

    private static readonly RolloutPlan Plan = new(Actor.Policy, Actor.Policy, 0, RollInLengths.Inside);

    [Theory]
    [InlineData("grpo")]
    [InlineData("rloo")]
    public void Penalties_from_a_token_on_are_subtracted_as_they_are(string algorithm)
    {
        using var scope = NewDisposeScope();
        // Three and two tokens; rewards 1 and 0 at the end: mean 0.5, deviation √0.5; the other's: ±1.
        var batch = RolloutBatch.From([Row([0, 1, 2]), Row([1, 2])]);
        var rewards = tensor(new[,] { { 0, 0, 1f }, { 0, 0, 0 } });
        var penalties = tensor(new[,] { { 0.25f, -0.125f, 0.5f }, { 1, 2, 0 } });
        var estimated = EstimatedAdvantages.Of(Presets.Named(algorithm, 0)! with { GroupSize = 2 }, batch, rewards, values: null, penalties);
        var advantage = algorithm == "rloo" ? 1 : 0.5 / (Math.Sqrt(0.5) + 1e-4);
        Assert.All([.. estimated.Advantages[0].data<float>(), -estimated.Advantages[1, 0].item<float>(), -estimated.Advantages[1, 1].item<float>()], value => Assert.Equal(advantage, value, 1e-6));
        Assert.Equal(0, estimated.Advantages[1, 2].item<float>());
        Assert.Equal([0.625f, 0.375f, 0.5f, 3, 2, 0], estimated.Penalties!.data<float>().ToArray());
        Assert.Null(EstimatedAdvantages.Of(Presets.Named(algorithm, 0)! with { GroupSize = 2 }, batch, rewards, values: null).Penalties);
    }

    [Fact]
    public void Where_the_task_sees_no_difference_the_expected_gradient_is_that_of_the_penalty()
    {
        using var scope = NewDisposeScope();
        using var policy = new TabularModel(3, 3, 2);
        using var reference = new TabularModel(3, 3, 2);
        policy.Initialise(1);
        reference.Initialise(2);
        var rows = Responses([], policy).ToArray();

        // KL(π‖π_0) of whole responses by enumeration, differentiated by the tensor library.
        var (table, of) = (policy.Logit.log_softmax(-1), reference.Logit.detach().log_softmax(-1));
        var divergence = zeros(1);
        foreach (var tokens in rows)
        {
            var (own, start) = (Sum(table, tokens, policy), Sum(of, tokens, policy));
            divergence = divergence + own.exp() * (own - start);
        }
        (Coefficient * divergence).sum().backward();
        var expected = policy.Logit.grad!.data<float>().ToArray();
        policy.Logit.grad!.zero_();

        // Groups of one: no task has anything to say of them.
        foreach (var tokens in rows)
        {
            using var inner = NewDisposeScope();
            var probability = Math.Exp(Sum(table.detach(), tokens, policy).item<float>());
            var batch = RolloutBatch.From([Row(tokens, policy)]);
            var penalties = Coefficient * (batch.LogProbs - RolloutBatch.From([Row(tokens, reference)]).LogProbs);
            var estimated = EstimatedAdvantages.Of(Presets.Grpo(1), batch, zeros_like(batch.LogProbs), values: null, penalties);
            var logProbs = TokenLogProbs.Of(policy, policy.ResponseStates(batch.TokenRows), batch.Tokens, batch.TrainsPolicy);
            var loss = ClippedPolicyLoss.Compute(logProbs, batch.LogProbs, estimated.Advantages - estimated.Penalties!, batch.TrainsPolicy, 0.2, LossReduction.RowSum).Loss;
            (probability * loss).backward();
        }

        Assert.All(expected.Zip(policy.Logit.grad!.data<float>().ToArray()), pair => Assert.Equal(pair.First, pair.Second, 2e-6));
        Assert.True(expected.Max(Math.Abs) > 1e-2);
    }

    [Theory]
    [InlineData("grpo", null)]
    [InlineData("grpo", KlPlacement.Reward)]
    [InlineData("rloo", null)]
    [InlineData("rloo", KlPlacement.Reward)]
    public void The_penalty_brings_a_policy_back_to_its_start(string algorithm, KlPlacement? placement)
    {
        using var policy = new TabularModel(3, 3, 2);
        using var reference = new TabularModel(3, 3, 2);
        policy.Initialise(1);
        reference.Initialise(2);
        var before = Divergence();
        var setup = ToyRun.Setup(policy, Presets.Named(algorithm, 0)!, null, _ => 0.3, iterations: 60);
        ToyRun.Run(setup with { Reference = reference, Kl = new KlSettings { Coefficient = 0.5, Placement = placement }, Update = setup.Update with { LearningRate = 0.01 } });
        Assert.True(Divergence() < 0.5 * before, $"{before} → {Divergence()}");

        double Divergence()
        {
            using var scope = NewDisposeScope();
            using var noGradient = no_grad();
            var (own, start) = (policy.Logit.log_softmax(-1), reference.Logit.log_softmax(-1));
            return Responses([], policy).Sum(tokens => Math.Exp(Sum(own, tokens, policy).item<float>()) * (Sum(own, tokens, policy) - Sum(start, tokens, policy)).item<float>());
        }
    }

    private static IEnumerable<int[]> Responses(int[] prefix, TabularModel model)
    {
        if (prefix.Length == model.Horizon || prefix.Contains(2)) return [prefix];
        return Enumerable.Range(0, 3).SelectMany(token => Responses([.. prefix, token], model));
    }

    /// <summary>[1]: the response's log-probability by a table of them.</summary>
    private static Tensor Sum(Tensor table, int[] tokens, TabularModel model) =>
        tokens.Select((token, t) => table[model.IndexOf(tokens.AsSpan(0, t)), token]).Aggregate((sum, next) => sum + next).reshape(1);

    private static Rollout Row(int[] tokens, TabularModel? model = null)
    {
        var logProbs = tokens.Select((token, t) => model is null ? 0 : (float)Math.Log(model.Probabilities(tokens.AsSpan(0, t))[token])).ToArray();
        return new()
        {
            Prompt = new("", []), Tokens = tokens, Text = string.Concat(tokens), RollInLength = 0, Plan = Plan, Ended = true,
            LogProbs = logProbs, Choices = [.. tokens.Select(_ => TokenSet.All)],
        };
    }
}
