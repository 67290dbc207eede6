using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>What is trained and measured is the distribution that was sampled (docs/algorithms.md).</summary>
public sealed class SampledDistributionTests
{
    private const int Vocabulary = 128;

    /// <summary>One each of what changes the distribution that is sampled, and some together.</summary>
    public static TheoryData<string> Settings => ["plain", "T=0.4", "T=2", "top-k 40", "top-k 5", "top-p 0.8", "min-p 0.5", "typical-p 0.7", "minimum", "penalty", "forced first", "all"];

    private static SamplingSettings Sampling(string name, int horizon, int? end = null, int forced = 3)
    {
        var plain = new SamplingSettings { MaxNewTokens = horizon, EndTokens = end is { } id ? [id] : [] };
        return name switch
        {
            "plain" => plain,
            "T=0.4" => plain with { Temperature = 0.4 },
            "T=2" => plain with { Temperature = 2 },
            "top-k 40" => plain with { TopK = 40 },
            "top-k 5" => plain with { TopK = 5 },
            "top-p 0.8" => plain with { TopP = 0.8 },
            "min-p 0.5" => plain with { MinP = 0.5 },
            "typical-p 0.7" => plain with { TypicalP = 0.7 },
            "minimum" => plain with { MinNewTokens = horizon },
            "penalty" => plain with { RepetitionPenalty = 1.5 },
            "forced first" => plain with { ForcedFirstToken = forced },
            _ => plain with { Temperature = 1.3, TopK = 40, TopP = 0.9, MinNewTokens = Math.Min(2, horizon), RepetitionPenalty = 1.2, NoRepeatNgram = 2, ForbiddenSequences = [[5]] },
        };
    }

    /// <summary>A critic that never learns leaves every token the same advantage: what moves the policy then is a gradient whose expectation is not 0.</summary>
    [Theory]
    [MemberData(nameof(Settings))]
    public void With_a_constant_reward_the_entropy_stays(string name)
    {
        foreach (ulong seed in (ulong[])[1, 2, 3])
        {
            using var policy = Table(seed, horizon: 1);
            var before = Entropy(policy);
            var setup = ToyRun.Setup(policy, Presets.Ppo(), guide: null, _ => 1, iterations: 10, seed) with
            {
                Prompts = [new Prompt("", [9, 5, 9])],
                Sampling = Sampling(name, horizon: 1, end: Vocabulary - 1),
                RowsPerIteration = 512,
                Update = new UpdateSettings { Epochs = 2, RowsPerMinibatch = 256, LearningRate = 0.05, CriticLearningRate = 1e-9, MaxGradientNorm = 100, AdamEpsilon = 0.1 },
            };

            ToyRun.Run(setup);

            Assert.Equal(before, Entropy(policy), 0.02);
        }
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public void The_log_probabilities_of_generation_are_those_of_a_pass_over_the_whole_row(string name)
    {
        using var policy = TinyGpt2.Create(Vocabulary, Vocabulary - 1, contextLength: 32, seed: 5);
        var sampling = Sampling(name, horizon: 12, Vocabulary - 1);
        var requests = Enumerable.Range(0, 16).Select(row => new GenerationRequest(new TokenRow([1 + row % 3, 2], []), (ulong)row)).ToArray();
        var rows = TextGenerator.Generate(policy, requests, sampling, seed: 9);

        using var noGradient = no_grad();
        SampledRow[] samples = [.. rows.Select((row, i) => new SampledRow(requests[i].Row with { Response = row.Tokens }, row.Choices))];
        using var again = TokenLogProbs.OfRows(policy, samples, sampling);

        for (var row = 0; row < rows.Count; row++)
        {
            for (var t = 0; t < rows[row].Tokens.Length; t++)
            {
                Assert.True(rows[row].Choices[t].Contains(rows[row].Tokens[t]));
                Assert.Equal(rows[row].SampledLogProbs[t], again[row, t].item<float>(), 1e-4);
                if (rows[row].Choices[t].IsSingle) Assert.Equal(0, again[row, t].item<float>());
            }
        }
    }

    /// <summary>The sets by the definitions of the settings, from the model's own probabilities.</summary>
    [Fact]
    public void The_set_of_a_token_is_what_the_settings_leave()
    {
        using var policy = Table(seed: 4, horizon: 1);
        var p = policy.Probabilities([]);
        var ranked = Enumerable.Range(0, Vocabulary).OrderByDescending(token => p[token]).ToArray();
        var nucleus = 0;
        for (var sum = 0.0; sum < 0.8; nucleus++) sum += p[ranked[nucleus]];

        Assert.Equal(Enumerable.Range(0, Vocabulary), SetOf("plain"));
        Assert.Equal(ranked[..5].Order(), SetOf("top-k 5"));
        Assert.Equal(ranked[..40].Order(), SetOf("top-k 40"));
        Assert.Equal(ranked[..nucleus].Order(), SetOf("top-p 0.8"));
        Assert.Equal(ranked.Where(token => p[token] >= 0.5 * p[ranked[0]]).Order(), SetOf("min-p 0.5"));
        Assert.Equal(Enumerable.Range(0, Vocabulary - 1), SetOf("minimum"));
        Assert.Equal([3], SetOf("forced first"));

        int[] SetOf(string name)
        {
            var row = Assert.Single(TextGenerator.Generate(policy, [new GenerationRequest(new TokenRow([], []), 0)], Sampling(name, horizon: 1, Vocabulary - 1), seed: 0));
            return [.. Enumerable.Range(0, Vocabulary).Where(Assert.Single(row.Choices).Contains)];
        }
    }

    /// <summary>
    /// The gradient of Σ_y P(y) Σ_t A(y) log π(a_t|s_t, S_t) over all responses is that of the expected reward with the sets held fixed, here differentiated from its definition in float64.
    /// </summary>
    [Fact]
    public void The_expected_gradient_with_sets_equals_the_enumerated_one()
    {
        const double temperature = 0.5;
        using var scope = NewDisposeScope();
        var task = ToyTask.All()[0];
        using var policy = new TabularModel(task.Tokens, task.Horizon, task.End, prefix => task.Theta(ToyTask.Digits(prefix)));
        // Two tokens of three at some states, all at others, one alone at the third.
        TokenSet SetAt(string prefix) => prefix.Length switch { 1 => TokenSet.Without([1]), 2 when prefix[0] == '0' => TokenSet.Single(2), _ => prefix.Length == 2 ? TokenSet.Of([0], task.Tokens) : TokenSet.All };
        double[] Sampled(string prefix)
        {
            var weights = task.Theta(prefix).Select((x, token) => SetAt(prefix).Contains(token) ? Math.Exp(x / temperature) : 0).ToArray();
            return [.. weights.Select(w => w / weights.Sum())];
        }

        var sampling = new SamplingSettings { MaxNewTokens = task.Horizon, Temperature = temperature };
        var plan = new RolloutPlan(Actor.Policy, Actor.Policy, 0, RollInLengths.Inside);
        foreach (var (response, probability) in task.Continuations("", Sampled).Where(pair => pair.Probability > 0))
        {
            using var inner = NewDisposeScope();
            var sets = response.Select((_, t) => SetAt(response[..t])).ToArray();
            var row = new Rollout
            {
                Prompt = new("", []), Tokens = ToyTask.Ids(response), Text = response, RollInLength = 0, Plan = plan, Ended = true, Choices = sets,
                LogProbs = [.. response.Select((token, t) => (float)Math.Log(Sampled(response[..t])[token - '0']))],
            };
            var batch = RolloutBatch.From([row]);
            var logProbs = TokenLogProbs.Of(policy, policy.ResponseStates(batch.TokenRows), batch.Tokens, batch.TrainsPolicy, batch.Samples, sampling);
            var advantages = full_like(batch.LogProbs, (float)task.Reward(response));
            var loss = ClippedPolicyLoss.Compute(logProbs, batch.LogProbs, advantages, batch.TrainsPolicy, 0.2, LossReduction.RowSum).Loss;
            if (loss.requires_grad) (probability * loss).backward();
        }

        foreach (var prefix in policy.Prefixes)
        {
            var actual = policy.Logit.grad![policy.IndexOf(prefix)].data<float>().ToArray();
            for (var token = 0; token < task.Tokens; token++)
            {
                var difference = (Expected(prefix, token, 1e-5) - Expected(prefix, token, -1e-5)) / 2e-5;
                Assert.Equal(difference, -actual[token], 2e-5);
            }
        }

        // J(θ) = Σ_y Π_t π_θ(a_t|s_t, S_t) R(y), with one logit moved.
        double Expected(int[] at, int moved, double by) => task.Continuations("", prefix =>
        {
            var weights = task.Theta(prefix).Select((x, token) => SetAt(prefix).Contains(token) ? Math.Exp((x + (prefix == ToyTask.Digits(at) && token == moved ? by : 0)) / temperature) : 0).ToArray();
            return [.. weights.Select(w => w / weights.Sum())];
        }).Sum(pair => pair.Probability * task.Reward(pair.Response));
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public void The_start_has_no_divergence_from_itself_and_the_measured_one_is_the_exact_one(string name)
    {
        using var policy = Table(seed: 6, horizon: 1);
        using var other = Table(seed: 7, horizon: 1);
        var sampling = Sampling(name, horizon: 1, Vocabulary - 1);
        const int Prompts = 1500;
        var evaluator = new Evaluator
        {
            Prompts = [.. Enumerable.Range(0, Prompts).Select(_ => new Prompt("", []))], Sampling = sampling, Reward = new FunctionReward("none", _ => 0), Reference = other, Tokenizer = new DigitTokenizer(Vocabulary, Vocabulary - 1),
        };

        var itself = new Evaluator { Prompts = evaluator.Prompts, Sampling = sampling, Reward = evaluator.Reward, Reference = policy, Tokenizer = evaluator.Tokenizer }.Evaluate(0, policy, CancellationToken.None);
        Assert.All(itself.Rows, row => Assert.Equal(0, row.Kl, 1e-4));
        Assert.All(itself.Rows, row => Assert.Equal(0, row.RawKl, 1e-4));

        // One step, so that KL = Σ_{a in S} p(a|S) (log p(a|S) − log q(a|S)), with S read off a sample: it is the same for all, as is the prefix.
        var measured = evaluator.Evaluate(0, policy, CancellationToken.None);
        var set = TextGenerator.Generate(policy, [new GenerationRequest(new TokenRow([], []), 0)], sampling, seed: 0)[0].Choices[0];
        AssertMean(Exact(policy, other, sampling.Temperature, set), [.. measured.Rows.Select(row => row.Kl)]);
        AssertMean(Exact(policy, other, 1, TokenSet.All), [.. measured.Rows.Select(row => row.RawKl)]);

        static void AssertMean(double expected, double[] values)
        {
            var deviation = Math.Sqrt(values.Select(x => (x - values.Average()) * (x - values.Average())).Average());
            Assert.Equal(expected, values.Average(), (4 * deviation / Math.Sqrt(values.Length)) + 1e-6);
        }
    }

    private static double Exact(TabularModel policy, TabularModel other, double temperature, TokenSet set)
    {
        var (p, q) = (Within(policy), Within(other));
        return Enumerable.Range(0, Vocabulary).Where(set.Contains).Sum(token => p[token] * Math.Log(p[token] / q[token]));

        double[] Within(TabularModel model)
        {
            // p^(1/T) renormalised is softmax(logits / T).
            var weights = model.Probabilities([]).Select((x, token) => set.Contains(token) ? Math.Pow(x, 1 / temperature) : 0).ToArray();
            return [.. weights.Select(w => w / weights.Sum())];
        }
    }

    [Fact]
    public void A_forced_token_counts_for_nothing_in_the_policy_loss()
    {
        var plan = new RolloutPlan(Actor.Policy, Actor.Policy, 0, RollInLengths.Inside);
        using var scope = NewDisposeScope();
        var batch = RolloutBatch.From(
            [
                new Rollout
                {
                    Prompt = new("", []), Tokens = [1, 2, 3], Text = "", RollInLength = 0, Plan = plan, Ended = false,
                    LogProbs = [0, -1, 0], Choices = [TokenSet.Single(1), TokenSet.All, TokenSet.Single(3)],
                },
            ]);

        Assert.Equal([false, true, false], batch.TrainsPolicy.data<bool>().ToArray());
        Assert.Equal([true, true, true], batch.IsPolicy.data<bool>().ToArray());
    }

    [Fact]
    public void A_last_token_is_forced_at_the_end_of_a_response_and_not_at_the_end_of_a_roll_in()
    {
        using var policy = Table(seed: 8, horizon: 2);
        var sampling = Sampling("plain", horizon: 2, Vocabulary - 1) with { ForcedLastToken = Vocabulary - 1 };
        var writer = new RolloutWriter(new ModelWriter(policy), policy.Shape, new DigitTokenizer(Vocabulary, Vocabulary - 1), ToyRun.Guide(2, null, _ => [1.0]), sampling, seed: 3);
        var prompts = Enumerable.Range(0, 200).Select(_ => new Prompt("", [])).ToArray();

        var rollIns = writer.RollIn(ToyRun.Rows(prompts, new RolloutPlan(Actor.Policy, Actor.Guide, 1, RollInLengths.Limit)), 0, CancellationToken.None);
        var whole = writer.RollOut(ToyRun.Rows(prompts, new RolloutPlan(Actor.Policy, Actor.Policy, 0, RollInLengths.Inside)), [.. prompts.Select(_ => RollInResult.None)], 0, CancellationToken.None);

        Assert.Contains(rollIns, rollIn => rollIn is { Tokens.Length: 1, Ended: false });
        Assert.All(rollIns.Where(rollIn => rollIn.Tokens.Length == 2), rollIn => Assert.True(rollIn.Ended));
        Assert.All(whole, rollout => Assert.Equal(Vocabulary - 1, rollout.Tokens[^1]));
    }

    /// <summary>A policy whose entropy is 4.2 a token, 4.85 being the most.</summary>
    private static TabularModel Table(ulong seed, int horizon)
    {
        var random = new RandomStream(seed, 0);
        return new TabularModel(Vocabulary, horizon, end: Vocabulary - 1, _ => [.. Enumerable.Range(0, Vocabulary).Select(_ => 4.2 * (random.NextDouble() - 0.5))]);
    }

    /// <summary>Exact entropy of the raw policy's first token, nats.</summary>
    private static double Entropy(TabularModel policy) => -policy.Probabilities([]).Sum(p => p * Math.Log(p));
}
