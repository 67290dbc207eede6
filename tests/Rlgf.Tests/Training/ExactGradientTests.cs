using Rlgf.Algorithms;
using Rlgf.Losses;
using Rlgf.Models.Generation;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>
/// The expected gradients of PPO, PPO++ and AggreVaTeD on a language of three tokens and three steps, summed over every roll-in, length and roll-out, against the exact
/// values of fixtures/rl (an independent implementation: enumeration, closed forms and 2,000,000 simulated rows).
/// </summary>
public sealed class ExactGradientTests
{
    /// <summary>float32 sums of a few dozen terms.</summary>
    private const double Tolerance = 2e-6;

    public static TheoryData<int, int> Entries()
    {
        var data = new TheoryData<int, int>();
        var tasks = ToyTask.All();
        for (var task = 0; task < tasks.Count; task++)
            for (var entry = 0; entry < tasks[task].Gradients.Count(); entry++) data.Add(task, entry);
        return data;
    }

    [Theory]
    [MemberData(nameof(Entries))]
    public void The_expected_gradient_equals_the_exact_one(int taskNumber, int entryNumber)
    {
        using var scope = NewDisposeScope();
        var task = ToyTask.All()[taskNumber];
        var entry = task.Gradients.ElementAt(entryNumber);
        var name = entry.GetProperty("algorithm").GetString()!;
        var (beta, lambda) = (entry.GetProperty("beta").GetDouble(), entry.GetProperty("lambda").GetDouble());
        var lengths = entry.GetProperty("roll_in_lengths").GetString()!;
        var plan = name switch
        {
            "PPO" => new RolloutPlan(Actor.Policy, Actor.Policy, 0, RollInLengths.Inside),
            "PPO++" => new RolloutPlan(Actor.Guide, Actor.Policy, beta, RollInLengths.Inside),
            _ => new RolloutPlan(Actor.Policy, Actor.Guide, beta, Enum.Parse<RollInLengths>(lengths, ignoreCase: true)),
        };
        using var policy = new TabularModel(task.Tokens, task.Horizon, task.End, prefix => task.Theta(ToyTask.Digits(prefix)));
        var gradient = Gradient(policy, task, plan, lambda, lengths, task.Guide);
        foreach (var state in entry.GetProperty("gradient").EnumerateObject())
        {
            var row = gradient[policy.IndexOf(ToyTask.Ids(state.Name))].data<float>().ToArray();
            var expected = ToyTask.Numbers(state.Value);
            for (var token = 0; token < expected.Length; token++) Assert.Equal(expected[token], -row[token], Tolerance); // The loss descends, the fixture ascends.
        }
    }

    /// <summary>
    /// With the policy itself as guide, states are as often as without, and the token at place t trains where the cut is not behind it: of H tokens, cut evenly at 1 … H − 1 with probability β, that is
    /// (1 − β) + β t / (H − 1). So the gradient at a state of t tokens is PPO's times that, exactly.
    /// </summary>
    [Theory]
    [InlineData(0.6, 0.0)]
    [InlineData(0.6, 0.95)]
    [InlineData(1.0, 1.0)]
    public void With_itself_as_guide_a_token_of_PPO_plus_plus_counts_by_how_often_it_is_not_cut_off(double beta, double lambda)
    {
        using var scope = NewDisposeScope();
        var seen = 0;
        foreach (var task in ToyTask.All().Where(task => task.End is null))
        {
            using var policy = new TabularModel(task.Tokens, task.Horizon, task.End, prefix => task.Theta(ToyTask.Digits(prefix)));
            var alone = Gradient(policy, task, new RolloutPlan(Actor.Policy, Actor.Policy, 0, RollInLengths.Inside), lambda, "inside", task.Policy).clone();
            policy.Logit.grad = null;
            var guided = Gradient(policy, task, new RolloutPlan(Actor.Guide, Actor.Policy, beta, RollInLengths.Inside), lambda, "inside", task.Policy);
            foreach (var prefix in policy.Prefixes)
            {
                var share = (1 - beta) + beta * prefix.Length / (task.Horizon - 1);
                var (expected, row) = (alone[policy.IndexOf(prefix)].data<float>().ToArray(), guided[policy.IndexOf(prefix)].data<float>().ToArray());
                for (var token = 0; token < row.Length; token++) Assert.Equal(share * expected[token], row[token], Tolerance);
                seen += expected.Count(x => Math.Abs(x) > 100 * Tolerance);
            }
        }
        Assert.True(seen > 10, $"{seen} numbers above 0 were compared");
    }

    /// <summary>The expected gradient of the loss, summed over every roll-in, length and roll-out.</summary>
    private static Tensor Gradient(TabularModel policy, ToyTask task, RolloutPlan plan, double lambda, string lengths, Func<string, double[]> guide)
    {
        var algorithm = Presets.Ppo() with { Lambda = lambda, Gamma = 1 };
        using var critics = ExactCritics(policy, task, plan.RollOut);
        foreach (var (rollIn, probabilityOfRollIn) in task.RollIns(ActorOf(plan.RollIn), plan.RollInProbability, lengths))
            foreach (var (response, probabilityOfRest) in task.Continuations(rollIn, ActorOf(plan.RollOut)))
            {
                var probability = probabilityOfRollIn * probabilityOfRest;
                if (probability == 0) continue;
                using var inner = NewDisposeScope();
                var batch = RolloutBatch.From([Row(response, rollIn.Length, plan, task)]);
                var rewards = zeros(batch.Tokens.shape);
                rewards[0, response.Length - 1] = (float)task.Reward(response);
                var states = policy.ResponseStates(batch.TokenRows);
                var values = critics.Values(batch.RollOutActors, batch.TokenRows, states).detach();
                var estimated = EstimatedAdvantages.Of(algorithm, batch, rewards, values);
                var logProbs = TokenLogProbs.Of(policy, states, batch.Tokens, batch.TrainsPolicy);
                var loss = ClippedPolicyLoss.Compute(logProbs, batch.LogProbs, estimated.Advantages, batch.TrainsPolicy, 0.2, LossReduction.RowSum).Loss;
                if (loss.requires_grad) (probability * loss).backward();
            }

        return policy.Logit.grad ?? zeros_like(policy.Logit);

        Func<string, double[]> ActorOf(Actor actor) => actor == Actor.Policy ? task.Policy : guide;
    }

    private static Rollout Row(string response, int rollInLength, RolloutPlan plan, ToyTask task)
    {
        var logProbs = response.Select((token, t) => (float)Math.Log(task.Policy(response[..t])[token - '0'])).ToArray();
        return new()
        {
            Prompt = new("", []),
            Tokens = ToyTask.Ids(response),
            Text = response,
            RollInLength = rollInLength,
            Plan = plan,
            Ended = true,
            LogProbs = logProbs,
            Choices = [.. logProbs.Select(_ => TokenSet.All)],
        };
    }

    /// <summary>Critics whose head, a table over prefixes, holds the exact values of the roll-out actor.</summary>
    private static Critics ExactCritics(TabularModel policy, ToyTask task, Actor rollOut)
    {
        var critics = new Critics([rollOut], CriticSharing.SharedTrunk, policy, policy.Clone);
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var actor = rollOut == Actor.Policy ? "policy" : "guide";
        var values = tensor(policy.Prefixes.Select(prefix => (float)task.Value(actor, ToyTask.Digits(prefix))).ToArray(), 1, policy.Prefixes.Count);
        critics.NamedParameters().First(named => named.Name.EndsWith("head.weight", StringComparison.Ordinal)).Parameter.copy_(values).DetachFromDisposeScope();
        return critics;
    }
}
