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
        var algorithm = Presets.Ppo() with { Lambda = lambda, Gamma = 1 };
        using var policy = new TabularModel(task.Tokens, task.Horizon, task.End, prefix => task.Theta(ToyTask.Digits(prefix)));
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

        var gradient = policy.Logit.grad ?? zeros_like(policy.Logit);
        foreach (var state in entry.GetProperty("gradient").EnumerateObject())
        {
            var row = gradient[policy.IndexOf(ToyTask.Ids(state.Name))].data<float>().ToArray();
            var expected = ToyTask.Numbers(state.Value);
            for (var token = 0; token < expected.Length; token++) Assert.Equal(expected[token], -row[token], Tolerance); // The loss descends, the fixture ascends.
        }

        Func<string, double[]> ActorOf(Actor actor) => actor == Actor.Policy ? task.Policy : task.Guide;
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
