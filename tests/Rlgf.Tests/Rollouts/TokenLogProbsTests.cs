using System.Text.Json.Nodes;
using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Rollouts;

/// <summary>What a reference reads of an iteration's rows.</summary>
public sealed class TokenLogProbsTests
{
    /// <summary>AggreVaTeD's rows end with the guide's text, and PPO++'s by the rule <c>limit</c> may be the guide's altogether: only what the policy wrote is looked at, and what comes before it.</summary>
    [Theory]
    [InlineData(Actor.Policy, Actor.Guide)]
    [InlineData(Actor.Guide, Actor.Policy)]
    public void A_model_reads_up_to_the_last_token_of_the_policy(Actor rollIn, Actor rollOut)
    {
        using var scope = NewDisposeScope();
        using var policy = TinyGpt2.Create(seed: 1);
        using var spy = new Spy(TinyGpt2.Create(seed: 2));
        var batch = Write(policy, new RolloutPlan(rollIn, rollOut, 0.8, RollInLengths.Limit));
        var sampling = new SamplingSettings { MaxNewTokens = 6, EndTokens = [TinyGpt2.End] };
        var ends = batch.Rollouts.Select(row => Enumerable.Range(0, row.Tokens.Length).LastOrDefault(t => row.AuthorOf(t) == Actor.Policy, -1) + 1).ToArray();
        Assert.Contains(0, ends);
        Assert.Contains(ends.Zip(batch.Rollouts), pair => pair.First > 0 && (pair.First < pair.Second.Tokens.Length || rollOut == Actor.Policy));

        var logProbs = TokenLogProbs.OfPolicy(spy, batch, sampling);
        var expected = batch.Rollouts.Zip(ends, (row, end) => (row.Prompt.Tokens, Response: row.Tokens[..end])).Where(row => row.Response.Length > 0);
        Assert.Equal(expected.Select(row => (string.Join(' ', row.Tokens), string.Join(' ', row.Response))), spy.Read.Select(row => (string.Join(' ', row.Prompt), string.Join(' ', row.Response))));

        // Against whole rows, one at a time, and 0 where the policy did not write.
        for (var row = 0; row < batch.Rollouts.Count; row++)
        {
            var rollout = batch.Rollouts[row];
            using var alone = TokenLogProbs.OfRows(spy, [rollout.TokenRow]);
            for (var t = 0; t < logProbs.size(1); t++)
            {
                var isPolicy = t < rollout.Tokens.Length && rollout.AuthorOf(t) == Actor.Policy;
                Assert.Equal(isPolicy ? alone[0, t].item<float>() : 0, logProbs[row, t].item<float>(), 1e-5);
            }
        }
    }

    /// <summary>An iteration asks the reference for no more, whatever the algorithm, and where critics have models of their own the policy's update reads no more either.</summary>
    [Fact]
    public void An_iteration_reads_no_row_of_the_guide_by_the_reference()
    {
        using var policy = new Spy(TinyGpt2.Create(seed: 1));
        using var reference = new Spy(TinyGpt2.Create(seed: 1));
        var setup = Setup(policy, reference, Presets.AggreVaTeD(0.5)) with { CriticSharing = CriticSharing.Separate };
        using var critics = Critics.For(setup);
        using var learner = new Learner(setup, critics);
        using var iteration = new GuidedIteration(setup, critics, learner);
        var result = iteration.Run(TrainingState.Beginning(setup), CancellationToken.None);
        var rows = result.Record.Metrics["tokens/policy"];
        Assert.InRange(reference.Read.Count, 1, setup.RowsPerIteration - 1);
        Assert.All(reference.Read.Concat(policy.Read), row => Assert.NotEmpty(row.Response));
        // A roll-in's tokens are all of a row that the policy wrote.
        Assert.Equal(rows, reference.Read.Sum(row => row.Response.Length));
        Assert.Equal(setup.Update.Epochs * reference.Read.Count, policy.Read.Count);
    }

    /// <summary>Rows of a step, shortest first, in parts that are as even in length as they can be; one part keeps its order.</summary>
    [Fact]
    public void Micro_batches_hold_rows_of_like_length()
    {
        int[] lengths = [9, 2, 7, 2, 30, 8, 1];
        Assert.Equal([[1, 2, 2], [7, 8, 9], [30]], new UpdateSettings { RowsPerMicroBatch = 3 }.InMicroBatches(lengths, length => length));
        Assert.Equal([lengths], new UpdateSettings { RowsPerMicroBatch = 7 }.InMicroBatches(lengths, length => length));
        Assert.Equal([lengths], new UpdateSettings().InMicroBatches(lengths, length => length));
        Assert.Empty(new UpdateSettings().InMicroBatches(Array.Empty<int>(), length => length));
    }

    private static RolloutBatch Write(ILanguageModel policy, RolloutPlan plan)
    {
        var setup = Setup(policy, policy, Presets.Ppo());
        var rows = ToyRun.Rows(Enumerable.Range(0, 24).Select(_ => setup.Prompts[0]), plan);
        var writer = new RolloutWriter(new ModelWriter(policy), policy.Shape, setup.Tokenizer, setup.Guide, setup.Sampling, setup.Seed);
        return RolloutBatch.From(writer.RollOut(rows, writer.RollIn(rows, 0, CancellationToken.None), 0, CancellationToken.None));
    }

    private static TrainingSetup Setup(ILanguageModel policy, ILanguageModel reference, AlgorithmSettings algorithm) => new()
    {
        Policy = policy,
        Reference = reference,
        Tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End),
        Guide = ToyRun.Guide(6, TinyGpt2.End, _ => [0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]),
        Reward = new FunctionReward("toy", response => response.Tokens.Length),
        Prompts = [new Prompt("12", [1, 2])],
        Sampling = new SamplingSettings { MaxNewTokens = 6, EndTokens = [TinyGpt2.End] },
        Algorithm = algorithm,
        Iterations = 1,
        RowsPerIteration = 24,
        Seed = 3,
    };

    /// <summary>Notes the rows that are read.</summary>
    private sealed class Spy(ILanguageModel model) : ILanguageModel
    {
        public List<TokenRow> Read { get; } = [];
        public LanguageModelShape Shape => model.Shape;
        public nn.Module Module => model.Module;
        public Device Device => model.Device;
        public JsonObject Configuration => model.Configuration;

        public Tensor ResponseStates(IReadOnlyList<TokenRow> rows)
        {
            Read.AddRange(rows);
            return model.ResponseStates(rows);
        }

        public Tensor Logits(Tensor states) => model.Logits(states);
        public IDecoder StartDecoding(IReadOnlyList<TokenRow> rows, int maxNewTokens) => model.StartDecoding(rows, maxNewTokens);
        public void Initialise(ulong seed) => model.Initialise(seed);
        public ILanguageModel Clone() => model.Clone();
        public void Dispose() => model.Dispose();
    }
}
