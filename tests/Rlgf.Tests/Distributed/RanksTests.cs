using System.Globalization;
using Rlgf.Algorithms;
using Rlgf.Distributed;
using Rlgf.Evaluation;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Runs;
using Rlgf.Tests.Toys;
using Rlgf.Training;
using Rlgf.Worth;
using static TorchSharp.torch;

namespace Rlgf.Tests.Distributed;

/// <summary>What a run computes does not depend on how many processes compute it.</summary>
public sealed class RanksTests : IDisposable
{
    private const int Iterations = 3;

    private readonly string _folder = Directory.CreateTempSubdirectory("rlgf").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string> Algorithms => [.. Presets.Names];

    [Theory]
    [MemberData(nameof(Algorithms))]
    public void Two_and_three_ranks_compute_what_one_does(string name)
    {
        var algorithm = Presets.Named(name, switchIteration: 1)!;
        if (algorithm.GroupSize > 1) algorithm = algorithm with { GroupSize = 2 };
        RequireSame(setup => setup with { Algorithm = algorithm, Guide = algorithm.NeedsReferences ? new ReferencesGuide() : setup.Guide });
    }

    [Theory]
    [InlineData(CriticSharing.Separate, false)]
    [InlineData(CriticSharing.SharedTrunk, true)]
    public void With_other_critics_an_encoder_decoder_rewards_of_tokens_and_a_stop_by_KL_too(CriticSharing sharing, bool encoderDecoder) => RequireSame(setup => setup with
    {
        Algorithm = Presets.Adaptive(),
        CriticSharing = sharing,
        BootstrapCutRows = true,
        NormaliseReward = true,
        GuideWorth = new GuideWorthSettings { Share = 0.5, Every = 2, Window = 2 },
        Supervised = new SupervisedLossSettings { RowsPerStep = 3, Coefficient = 0.5, FinalCoefficient = 0.5 },
        Update = setup.Update with { RowsPerMicroBatch = 1, TargetKl = 1e-6 },
        AuxiliaryLosses = [new Decay(setup.Policy)],
    }, encoderDecoder);

    [Fact]
    public void The_same_number_of_ranks_gives_the_same_bits_and_all_ranks_have_them()
    {
        var once = ThreadRanks.Run(3, ranks => Run(ranks, setup => setup with { Algorithm = Presets.Adaptive() }));
        var again = ThreadRanks.Run(3, ranks => Run(ranks, setup => setup with { Algorithm = Presets.Adaptive() }));
        Assert.All(once.Concat(again), run => Assert.Equal(once[0].Weights, run.Weights));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_checkpoint_of_two_ranks_goes_on_with_another_number_of_them(int size)
    {
        static TrainingSetup With(TrainingSetup setup) => setup with { Algorithm = Presets.Adaptive() };
        var whole = ThreadRanks.Run(2, ranks => Run(ranks, With))[0];
        ThreadRanks.Run(2, ranks => Run(ranks, With, checkpoints: _folder, iterations: 2));
        // Each reads weights of its own first, so that what it has afterwards comes from the checkpoint.
        var onward = ThreadRanks.Run(size, ranks => Run(ranks, With, checkpoints: _folder, seed: 17 + (ulong)ranks.Rank));
        Assert.All(onward, run => RequireClose(whole.Weights, run.Weights));
        Assert.Equal(["iteration-00002", "iteration-00003"], Directory.GetDirectories(_folder).Select(Path.GetFileName).Order());
    }

    /// <summary>A step takes each weight by itself, so that it is the same bits whoever makes it; what each keeps makes the whole, once.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void Optimisers_that_are_shared_out_take_the_same_steps_and_save_the_same_state(int size)
    {
        static TrainingSetup With(TrainingSetup setup, bool shares) => setup with { Algorithm = Presets.Adaptive(), Update = setup.Update with { ShardOptimizer = shares } };
        string Folder(string name) => Path.Combine(_folder, name);
        var own = new long[size];
        var whole = ThreadRanks.Run(size, ranks => Run(ranks, setup => With(setup, shares: false), checkpoints: Folder("whole")))[0];
        var shared = ThreadRanks.Run(size, ranks => Run(ranks, setup => With(setup, shares: true), checkpoints: Folder("shared"), ended: training => own[ranks.Rank] = Kept(training.Learner)));
        Assert.All(shared, run => Assert.Equal(whole.Weights, run.Weights));
        var all = 0L;
        Run(OneProcess.Alone, setup => With(setup, shares: true), ended: training => all = Kept(training.Learner));
        Assert.Equal(all, own.Sum());
        Assert.All(own, kept => Assert.InRange(kept, 1, (all / size) + (all / 4)));
        foreach (var file in (string[])["policy_optimizer.safetensors", "critic_optimizer.safetensors"])
            Assert.Equal(File.ReadAllBytes(Path.Combine(Folder("whole"), "iteration-00003", file)), File.ReadAllBytes(Path.Combine(Folder("shared"), "iteration-00003", file)));

        static long Kept(Learner learner) => learner.PolicyOptimizer.State().Concat(learner.CriticOptimizer.State()).Sum(part => part.Value.numel());
    }

    [Theory]
    [InlineData(2, 1)]
    [InlineData(2, 3)]
    [InlineData(3, 2)]
    public void A_checkpoint_of_shared_optimisers_goes_on_with_another_number_of_ranks(int size, int onward)
    {
        static TrainingSetup With(TrainingSetup setup) => setup with { Algorithm = Presets.Adaptive(), Update = setup.Update with { ShardOptimizer = true } };
        var whole = Run(OneProcess.Alone, With);
        ThreadRanks.Run(size, ranks => Run(ranks, With, checkpoints: _folder, iterations: 2));
        Assert.All(ThreadRanks.Run(onward, ranks => Run(ranks, With, checkpoints: _folder, seed: 17 + (ulong)ranks.Rank)), run => RequireClose(whole.Weights, run.Weights));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_stop_of_one_rank_stops_all_with_the_iterations_that_are_done(bool shares)
    {
        using var stop = new CancellationTokenSource();
        // Rank 1 scores three rows an iteration.
        var scored = 0;
        Assert.ThrowsAny<OperationCanceledException>(() => ThreadRanks.Run(2, ranks => Run(ranks, setup => setup with
        {
            Update = setup.Update with { ShardOptimizer = shares },
            Reward = new FunctionReward("stops", response =>
            {
                if (ranks.Rank == 1 && ++scored > 3) stop.Cancel();
                if (ranks.Rank == 1) stop.Token.ThrowIfCancellationRequested();
                return Score(response);
            }),
        }, checkpoints: _folder, stop: ranks.Rank == 1 ? stop.Token : default)));
        Assert.Equal(["iteration-00001"], Directory.GetDirectories(_folder).Select(Path.GetFileName));
        var (whole, onward) = (Run(OneProcess.Alone, setup => setup), ThreadRanks.Run(2, ranks => Run(ranks, setup => setup, checkpoints: _folder))[0]);
        RequireClose(whole.Weights, onward.Weights);
    }

    [Fact]
    public void A_rank_whose_weights_have_come_apart_is_named()
    {
        var failure = Assert.Throws<Rlgf.Base.InputException>(() => ThreadRanks.Run(2, ranks => Run(ranks, setup => setup with { AuxiliaryLosses = [new Decay(setup.Policy, ranks.Rank)] })));
        Assert.Contains("the weights of rank 1 on host1 are no longer those of rank 0 on host0", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_guide_that_works_elsewhere_is_asked_by_the_first_rank_alone()
    {
        var asked = new int[3];
        var runs = ThreadRanks.Run(3, ranks => Run(ranks, setup => setup with
        {
            Algorithm = Presets.PpoPlusPlus(),
            Guide = GuideElsewhere.Of(ranks, new Remote(setup.Guide!, () => Interlocked.Increment(ref asked[ranks.Rank]))),
        }));
        Assert.True(asked[0] > 0);
        Assert.Equal([0, 0], asked[1..]);
        RequireClose(Run(OneProcess.Alone, setup => setup with { Algorithm = Presets.PpoPlusPlus() }).Weights, runs[2].Weights);
    }

    [Fact]
    public void An_evaluation_is_dealt_and_has_the_same_rows()
    {
        var alone = Evaluate(OneProcess.Alone);
        Assert.All(ThreadRanks.Run(3, Evaluate), record =>
        {
            Assert.Equal(alone.Rows.Select(row => row.Response), record.Rows.Select(row => row.Response));
            Assert.All(alone.Metrics, metric => Assert.Equal(metric.Value, record.Metrics[metric.Key], 1e-5));
        });
    }

    /// <summary>The rates are high, so that every evaluation touches the wire; a run that goes back does so twice, each time with another coefficient, and then stops.</summary>
    [Theory]
    [InlineData(TripwireAction.Warn, 2, false)]
    [InlineData(TripwireAction.Stop, 1, true)]
    [InlineData(TripwireAction.GoBack, 3, true)]
    public void Tripwires_decide_the_same_on_all_ranks_whatever_their_number(TripwireAction action, int touched, bool stops)
    {
        (string? Failure, TripwireRecord[] Wires, float[] Weights) Touch(ICommunicator ranks, string folder)
        {
            var log = new MemoryLog();
            var (failure, weights) = ((string?)null, Array.Empty<float>());
            var wires = new TripwireSettings { Action = action, MostKl = 1e-7 };
            if (action == TripwireAction.GoBack) wires = wires with { MostGoBacks = 2, KlFactor = 3 };
            try
            {
                weights = Run(ranks, setup => setup with { Tripwires = wires, Update = setup.Update with { LearningRate = 0.02, ShardOptimizer = true } }, checkpoints: folder, iterations: 2, log: log, evaluates: true).Weights;
            }
            catch (Base.InputException stopped)
            {
                failure = stopped.Message;
            }

            return (failure, [.. log.Tripwires], weights);
        }

        var alone = Touch(OneProcess.Alone, Path.Combine(_folder, "1"));
        Assert.Equal(stops, alone.Failure is not null);
        Assert.Equal(touched, alone.Wires.Length);
        foreach (var size in new[] { 2, 3 })
        {
            var runs = ThreadRanks.Run(size, ranks => Touch(ranks, Path.Combine(_folder, size.ToString(CultureInfo.InvariantCulture))));
            Assert.All(runs, run =>
            {
                Assert.Equal(alone.Failure, run.Failure);
                if (!stops) RequireClose(alone.Weights, run.Weights);
            });
            // The first alone keeps what was decided; that all went the same way is in the failure, which says how often the run went back, and in that none waited for another.
            Assert.Equal(alone.Wires.Select(wire => (wire.Iteration, wire.Wire, wire.Action)), runs[0].Wires.Select(wire => (wire.Iteration, wire.Wire, wire.Action)));
        }
    }

    /// <summary>Weights of one, two and three ranks agree, and so do all numbers that they log but times.</summary>
    private static void RequireSame(Func<TrainingSetup, TrainingSetup> with, bool encoderDecoder = false)
    {
        var alone = Run(OneProcess.Alone, with, encoderDecoder);
        foreach (var size in new[] { 2, 3 })
        {
            var runs = ThreadRanks.Run(size, ranks => Run(ranks, with, encoderDecoder));
            Assert.All(runs, run => RequireClose(alone.Weights, run.Weights));
            foreach (var (one, several) in alone.Log.Iterations.Zip(runs[0].Log.Iterations))
            {
                foreach (var (metric, value) in one.Metrics.Where(metric => !metric.Key.StartsWith("seconds/", StringComparison.Ordinal)))
                {
                    var close = double.IsNaN(value) ? double.IsNaN(several.Metrics[metric]) : Math.Abs(value - several.Metrics[metric]) <= 1e-5 + (1e-4 * Math.Abs(value));
                    Assert.True(close, string.Create(CultureInfo.InvariantCulture, $"{size} ranks, iteration {one.Iteration}: {metric} is {several.Metrics[metric]} instead of {value}"));
                }

                Assert.True(several.Metrics["communication/bytes"] > 0);
            }
        }
    }

    private static void RequireClose(float[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        var furthest = expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max();
        Assert.True(furthest <= 1e-6, string.Create(CultureInfo.InvariantCulture, $"the furthest weights differ by {furthest}"));
    }

    /// <summary>
    /// Three iterations of six rows of three or six prompts, in minibatches of four and two rows: with three ranks, some have no row of a minibatch. The epsilon of AdamW is large, since a step divides rounding by next to nothing otherwise.
    /// </summary>
    private static (float[] Weights, MemoryLog Log) Run(
        ICommunicator ranks, Func<TrainingSetup, TrainingSetup> with, bool encoderDecoder = false, string? checkpoints = null, int iterations = Iterations, ulong seed = 3,
        MemoryLog? log = null, bool evaluates = false, Action<GuidedTraining>? ended = null, CancellationToken stop = default)
    {
        using var policy = New(encoderDecoder, seed);
        using var start = New(encoderDecoder, 3);
        using var guideModel = TinyGpt2.Create(seed: 4);
        var tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End);
        var sampling = new SamplingSettings { MaxNewTokens = 6, EndTokens = [TinyGpt2.End], TopK = 7 };
        var setup = with(new TrainingSetup
        {
            Policy = policy,
            Reference = start,
            Tokenizer = tokenizer,
            Guide = new LocalModelGuide("other", guideModel, tokenizer, tokenizer, sampling),
            Reward = new FunctionReward("ones", response => Score(response)),
            Prompts = [.. Enumerable.Range(0, 7).Select(i => new Prompt(i.ToString(CultureInfo.InvariantCulture), [i]) { References = ["10" + i, "2"] })],
            Sampling = sampling,
            Algorithm = Presets.Ppo(),
            Kl = new KlSettings { Coefficient = 0.1 },
            Update = new UpdateSettings { Epochs = 2, RowsPerMinibatch = 4, LearningRate = 1e-3, AdamEpsilon = 1e-2 },
            Iterations = iterations,
            RowsPerIteration = 6,
            Seed = 11,
            Ranks = ranks,
        });
        log ??= new MemoryLog();
        var schedule = new TrainingSchedule { CheckpointEvery = 0, EvaluateEvery = evaluates ? 1 : 0 };
        using var training = new GuidedTraining(setup, schedule, log, evaluates ? EvaluatorOf(ranks, start) : null);
        CheckpointFolder Checkpoints(string folder) => new(folder, setup, training.Critics, training.Learner);
        training.Run(checkpoints is null ? null : new RankedCheckpoints(ranks, ranks.Rank == 0 ? Checkpoints(checkpoints) : null, Checkpoints, training.Learner), resume: checkpoints is not null, stop);
        ended?.Invoke(training);
        return ([.. policy.Module.parameters().Concat(training.Critics.NamedParameters().Select(named => named.Parameter)).SelectMany(p => p.detach().to(float32).data<float>().ToArray())], log);
    }

    private static ILanguageModel New(bool encoderDecoder, ulong seed) => encoderDecoder ? TinyT5.Create(seed) : TinyGpt2.Create(seed);

    private static EvaluationRecord Evaluate(ICommunicator ranks)
    {
        using var model = TinyGpt2.Create(seed: 3);
        using var reference = TinyGpt2.Create(seed: 4);
        return EvaluatorOf(ranks, reference).Evaluate(0, model, CancellationToken.None);
    }

    private static Evaluator EvaluatorOf(ICommunicator ranks, ILanguageModel reference) => new()
    {
        Prompts = [.. Enumerable.Range(0, 5).Select(i => new Prompt(i.ToString(CultureInfo.InvariantCulture), [i]))],
        Sampling = new SamplingSettings { MaxNewTokens = 6, EndTokens = [TinyGpt2.End], TopK = 5 },
        Reward = new FunctionReward("ones", response => Score(response)),
        Judge = new FunctionReward("length", response => response.Tokens.Length),
        Reference = reference,
        Tokenizer = new DigitTokenizer(TinyGpt2.Vocabulary, TinyGpt2.End),
        Ranks = ranks,
    };

    private static double Score(Response response) => response.Text.Count(c => c == '1') - (0.1 * response.Tokens.Length);

    /// <summary>A loss on no rows that every rank computes whole: half the sum of squares of the policy's weights.</summary>
    private sealed class Decay(ILanguageModel policy, double more = 0) : IAuxiliaryLoss
    {
        public string Name => "decay";

        public TorchSharp.torch.Tensor Accumulate(int step)
        {
            using var weight = tensor((0.01 + more) / 2);
            var loss = policy.Module.parameters().Select(parameter => parameter.square().sum()).Aggregate((a, b) => a + b) * weight;
            loss.backward();
            return loss.detach();
        }
    }

    private sealed class Remote(IGuide inner, Action asked) : IGuide
    {
        public string Name => inner.Name;

        public bool CanRollOut => inner.CanRollOut;

        public bool UsesPolicyTokens => inner.UsesPolicyTokens;

        public bool IsRemote => true;

        public Task<IReadOnlyList<GuideContinuation?>> ContinueAsync(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken)
        {
            asked();
            return inner.ContinueAsync(requests, cancellationToken);
        }
    }
}
