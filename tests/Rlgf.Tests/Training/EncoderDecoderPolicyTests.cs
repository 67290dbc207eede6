using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Training;

/// <summary>What must hold of the algorithms, for a policy whose prompt is in an encoder and whose response in a decoder.</summary>
public sealed class EncoderDecoderPolicyTests
{
    private const int End = TinyGpt2.End;

    public static TheoryData<string, CriticSharing> Algorithms()
    {
        var data = new TheoryData<string, CriticSharing>();
        foreach (var name in Presets.Names) foreach (var sharing in Enum.GetValues<CriticSharing>()) data.Add(name, sharing);
        return data;
    }

    [Theory]
    [MemberData(nameof(Algorithms))]
    public void Every_algorithm_trains_both_halves_with_a_guide_of_another_family(string name, CriticSharing sharing)
    {
        using var policy = TinyT5.Create(seed: 1);
        using var guide = TinyGpt2.Create(seed: 2);
        using var scope = NewDisposeScope();
        var before = policy.Module.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter.detach().clone(), StringComparer.Ordinal);

        var records = Run(policy, Presets.Named(name, switchIteration: 1)! with { NeedsReferences = false }, Guide(guide), setup => setup with { CriticSharing = sharing });

        Assert.Equal(4, records.Count);
        Assert.All(records, record => Assert.All(record.Metrics, metric => Assert.False(double.IsInfinity(metric.Value), metric.Key)));
        // Whatever the prompt's tokens meet on their way into the response learns.
        string[] meeting = ["shared.weight", "encoder.block.0.layer.0.SelfAttention.v.weight", "encoder.block.0.layer.1.DenseReluDense.wo.weight", "decoder.block.0.layer.1.EncDecAttention.k.weight", "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"];
        var after = policy.Module.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter, StringComparer.Ordinal);
        Assert.All(meeting, parameter => Assert.True((after[parameter] - before[parameter]).abs().max().item<float>() > 1e-6, parameter));
    }

    [Fact]
    public void PPO_plus_plus_without_roll_ins_is_PPO_number_for_number()
    {
        using var guide = TinyGpt2.Create(seed: 2);
        Assert.Equal(Weights(Presets.Ppo(), null), Weights(Presets.PpoPlusPlus(beta: 0), Guide(guide)));
        Assert.Equal(Weights(Presets.Ppo(), null), Weights(Presets.AdaptiveV1(beta: 0), Guide(guide)));
        Assert.NotEqual(Weights(Presets.Ppo(), null), Weights(Presets.PpoPlusPlus(beta: 0.8), Guide(guide)));
    }

    [Theory]
    [InlineData(CriticSharing.SharedTrunk)]
    [InlineData(CriticSharing.Separate)]
    public void Splitting_a_minibatch_changes_nothing_beyond_rounding(CriticSharing sharing)
    {
        // Other rows beside them: other padding in the encoder and in the decoder, and other rows that share a prompt.
        using var guide = TinyGpt2.Create(seed: 2);
        foreach (var algorithm in new[] { Presets.AggreVaTeD(0.8), Presets.AdaptiveV1(0.5) })
        {
            var whole = Weights(algorithm, Guide(guide), setup => With(setup, 0));
            var split = Weights(algorithm, Guide(guide), setup => With(setup, 3));
            Assert.All(whole.Zip(split), pair => Assert.Equal(pair.First, pair.Second, 1e-4));
        }

        // Plain epochs: Adam divides by tiny second moments at first, where rounding would be magnified.
        TrainingSetup With(TrainingSetup setup, int rows) => setup with { CriticSharing = sharing, Update = setup.Update with { RowsPerMicroBatch = rows, AdamEpsilon = 1e-3 } };
    }

    [Fact]
    public void The_order_of_rows_changes_no_state_and_no_log_probability_beyond_rounding()
    {
        using var policy = TinyT5.Create(seed: 1);
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        TokenRow[] rows = [new([1, 2, 3], [4, 5]), new([6], [1, 1, 1, End]), new([1, 2, 3], [2]), new([5, 5, 5, 5, 5], [0, End])];
        int[] order = [2, 0, 3, 1];
        var (inOrder, shuffled) = (TokenLogProbs.OfRows(policy, rows), TokenLogProbs.OfRows(policy, [.. order.Select(row => rows[row])]));
        for (var i = 0; i < order.Length; i++)
        {
            for (var t = 0; t < rows[order[i]].Response.Length; t++) Assert.Equal(inOrder[order[i], t].item<float>(), shuffled[i, t].item<float>(), 1e-5);
        }
    }

    [Theory]
    [InlineData(Actor.Policy)]
    [InlineData(Actor.Guide)]
    public void The_expected_gradient_is_that_of_the_expected_reward_summed_over_all_responses(Actor rollOut)
    {
        // Three tokens, horizon 3. PPO ascends E R; with λ = 1 and a guide that rolls out from step u, drawn without a look at the text, AggreVaTeD ascends the mean over u of E V^g(s_u):
        // what the critic says before a token cancels in expectation.
        const int Tokens = 3, Horizon = 3;
        int[] prompt = [1, 2, 2, 0];
        double[] guide = [0.3, 0.5, 0.2];
        using var policy = TinyT5.Create(Tokens, start: 0, seed: 7);
        using var scope = NewDisposeScope();
        int[][] responses = [.. Enumerable.Range(0, 27).Select(i => (int[])[i / 9, i / 3 % 3, i % 3])];
        int[] lengths = rollOut == Actor.Policy ? [Horizon] : [1, 2, 3];

        // By automatic differentiation of the sum over everything that can happen.
        var logProbs = TokenLogProbs.OfRows(policy, [.. responses.Select(response => new TokenRow(prompt, response))]);
        var objective = zeros(1);
        var probabilities = new List<(int[] Response, int Length, double Probability)>();
        for (var i = 0; i < responses.Length; i++)
        {
            foreach (var u in lengths)
            {
                var byGuide = responses[i][u..].Aggregate(1.0 / lengths.Length, (product, token) => product * guide[token]);
                var probability = logProbs[i].narrow(0, 0, u).sum().exp() * byGuide;
                objective = objective + probability * Reward(responses[i]);
                probabilities.Add((responses[i], u, probability.item<float>()));
            }
        }

        policy.Module.zero_grad();
        objective.sum().backward();
        var expected = Gradients(policy);
        Assert.True(expected["encoder.block.0.layer.0.SelfAttention.v.weight"].abs().max().item<float>() > 1e-3);

        // By the loss of each row, weighted by its probability.
        policy.Module.zero_grad();
        var plan = rollOut == Actor.Policy ? new RolloutPlan(Actor.Policy, Actor.Policy, 0, RollInLengths.Limit) : new RolloutPlan(Actor.Policy, Actor.Guide, 1, RollInLengths.Limit);
        foreach (var (response, u, probability) in probabilities)
        {
            using var inner = NewDisposeScope();
            var own = logProbs[Array.IndexOf(responses, response)].detach().data<float>().ToArray();
            var batch = RolloutBatch.From([new Rollout
            {
                Prompt = new("", prompt), Tokens = response, Text = "", RollInLength = rollOut == Actor.Policy ? 0 : u, Plan = plan, Ended = true, LogProbs = own, Choices = [.. own.Select(_ => TokenSet.All)],
            }]);
            var rewards = zeros(batch.Tokens.shape);
            rewards[0, Horizon - 1] = (float)Reward(response);
            var states = policy.ResponseStates(batch.TokenRows);
            var estimated = EstimatedAdvantages.Of(Presets.Ppo() with { Lambda = 1, Gamma = 1 }, batch, rewards, tensor(new float[] { 0.1f, -0.4f, 0.7f }, 1, Horizon));
            var loss = ClippedPolicyLoss.Compute(TokenLogProbs.Of(policy, states, batch.Tokens, batch.TrainsPolicy), batch.LogProbs, estimated.Advantages, batch.TrainsPolicy, 0.2, LossReduction.RowSum).Loss;
            (probability * loss).backward();
        }

        // The loss descends.
        foreach (var (name, gradient) in Gradients(policy)) Assert.True((expected[name] + gradient).abs().max().item<float>() < 2e-5, name);

        static double Reward(int[] response) => response.Count(token => token == 1) - 0.3 * response[0] + (response is [1, 2, 0] ? 2 : 0);
    }

    [Fact]
    public void PPO_does_not_open_a_combination_lock_and_a_decent_guide_does()
    {
        // By chance a row opens it once in 8⁵ = 32,768; 20 iterations are 640 rows.
        int[] combination = [1, 4, 2, 5, 3];
        var decent = ToyRun.Guide(combination.Length, null, prefix =>
        {
            var p = Enumerable.Repeat(0.1 / 7, 8).ToArray();
            p[combination[Math.Min(prefix.Length, combination.Length - 1)]] = 0.9;
            return p;
        });
        Assert.InRange(Opens(Presets.Ppo(), null), 0, 0.01);
        Assert.InRange(Opens(Presets.Adaptive(), decent), 0.5, 1);

        double Opens(AlgorithmSettings algorithm, IGuide? guide)
        {
            using var policy = TinyT5.Create(seed: 3);
            Run(policy, algorithm, guide, setup => setup with
            {
                Reward = new FunctionReward("lock", response => response.Tokens.SequenceEqual(combination) ? 1 : 0),
                Sampling = new SamplingSettings { MaxNewTokens = combination.Length },
                Kl = new KlSettings { Coefficient = 0 },
                Update = setup.Update with { LearningRate = 1e-2, CriticLearningRate = 1e-2, RowsPerMinibatch = 16, Epochs = 4 },
                Iterations = 20,
                RowsPerIteration = 32,
            });
            using var scope = NewDisposeScope();
            using var gradients = no_grad();
            return TokenLogProbs.OfRows(policy, [new TokenRow([1, 2], combination)]).sum().exp().item<float>();
        }
    }

    [Fact]
    public void AggreVaTeD_ends_above_a_suboptimal_guide_and_D2LOLS_is_not_below()
    {
        // The guide writes a 1 two times in five, whatever stands before; a response of ones is best.
        var suboptimal = ToyRun.Guide(3, null, _ => [0.1, 0.4, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05]);
        double guide = 0.4, aggrevated = Final(Presets.AggreVaTeD(0.9), 20), d2lols = Final(Presets.D2Lols(10, 0.5), 30);
        Assert.InRange(aggrevated, guide + 0.2, 1);
        Assert.InRange(d2lols, aggrevated - 0.05, 1);

        double Final(AlgorithmSettings algorithm, int iterations)
        {
            using var policy = TinyT5.Create(seed: 3);
            Run(policy, algorithm, suboptimal, setup => setup with
            {
                Reward = new FunctionReward("ones", Ones),
                Sampling = new SamplingSettings { MaxNewTokens = 3 },
                Kl = new KlSettings { Coefficient = 0 },
                Update = setup.Update with { LearningRate = 3e-3, CriticLearningRate = 3e-3, RowsPerMinibatch = 32 },
                Iterations = iterations,
                RowsPerIteration = 64,
            });

            // The mean over everything that it can write.
            using var scope = NewDisposeScope();
            using var gradients = no_grad();
            int[][] all = [.. Enumerable.Range(0, 512).Select(i => (int[])[i / 64, i / 8 % 8, i % 8])];
            var probabilities = TokenLogProbs.OfRows(policy, [.. all.Select(tokens => new TokenRow([1, 2], tokens))]).sum(1).exp().data<float>().ToArray();
            return all.Zip(probabilities, (tokens, probability) => probability * tokens.Count(token => token == 1) / 3.0).Sum();
        }

        static double Ones(Response response) => response.Tokens.Count(token => token == 1) / 3.0;
    }

    [Fact]
    public void The_guides_text_never_comes_from_the_policys_weights()
    {
        using var policy = TinyT5.Create(seed: 1);
        using var start = policy.Clone();
        var guide = Guide(start);
        GuideRequest[] requests = [.. Enumerable.Range(0, 20).Select(i => new GuideRequest
        {
            Prompt = new Prompt("12", [1, 2]), ResponseSoFar = "", ResponseTokens = [], MaxTokens = 6, Stream = (ulong)i,
        })];
        var before = guide.Continue(requests, CancellationToken.None).Select(continuation => continuation.Text).ToArray();
        Run(policy, Presets.Adaptive(), guide);
        Assert.Equal(before, guide.Continue(requests, CancellationToken.None).Select(continuation => continuation.Text));
        Assert.NotEqual(before, Guide(policy).Continue(requests, CancellationToken.None).Select(continuation => continuation.Text));
    }

    private static Dictionary<string, Tensor> Gradients(ILanguageModel model) =>
        model.Module.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter.grad!.detach().clone(), StringComparer.Ordinal);

    private static LocalModelGuide Guide(ILanguageModel model)
    {
        var tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, End);
        return new LocalModelGuide("other", model, tokenizer, tokenizer, new SamplingSettings { MaxNewTokens = 6, EndTokens = [End] });
    }

    private static float[] Weights(AlgorithmSettings algorithm, IGuide? guide, Func<TrainingSetup, TrainingSetup>? change = null)
    {
        using var policy = TinyT5.Create(seed: 1);
        Run(policy, algorithm, guide, change);
        return [.. policy.Module.parameters().SelectMany(parameter => parameter.data<float>().ToArray())];
    }

    private static List<IterationRecord> Run(ILanguageModel policy, AlgorithmSettings algorithm, IGuide? guide, Func<TrainingSetup, TrainingSetup>? change = null)
    {
        using var reference = policy.Clone();
        var setup = new TrainingSetup
        {
            Policy = policy,
            Reference = reference,
            Tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, End),
            Guide = guide,
            Reward = new FunctionReward("ones", response => response.Text.Count(c => c == '1')),
            // Of different lengths, and the last is nothing but an end token, as a T5's empty prompt is.
            Prompts = [new Prompt("12", [1, 2]), new Prompt("345", [3, 4, 5]), new Prompt("0", [0]), new Prompt("", [End])],
            Sampling = new SamplingSettings { MaxNewTokens = 6, EndTokens = [End] },
            Algorithm = algorithm,
            Kl = new KlSettings { Coefficient = 0.05 },
            Update = new UpdateSettings { Epochs = 2, RowsPerMinibatch = 8, LearningRate = 1e-3, Reduction = LossReduction.TokenMean },
            Iterations = 4,
            RowsPerIteration = 16,
            Seed = 5,
        };
        setup = change?.Invoke(setup) ?? setup;
        var log = new MemoryLog();
        using var training = new GuidedTraining(setup, new TrainingSchedule { CheckpointEvery = 0, EvaluateEvery = 0 }, log);
        training.Run(null, resume: false, CancellationToken.None);
        return log.Iterations;
    }
}
