using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Runs;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Training;

/// <summary>Somebody else may write for the policy: an engine that has weights of its own, answers later and computes with other rounding.</summary>
public sealed class WriterTests
{
    private static readonly Func<string, double> Ones = response => response.Count(c => c == '1');

    [Fact]
    public void A_writer_is_told_of_the_weights_before_it_writes_and_after_every_update()
    {
        using var policy = new TabularModel(3, 3, null);
        var events = new List<string>();
        var engine = new Engine(policy, events);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), null, Ones, iterations: 2) with { Writer = engine, EvaluationWriter = engine };
        var evaluator = new Evaluator { Prompts = setup.Prompts, Sampling = setup.Sampling, Reward = setup.Reward, Reference = setup.Reference, Tokenizer = setup.Tokenizer };
        using var training = new GuidedTraining(setup, new TrainingSchedule { EvaluateEvery = 1 }, new Log(events), evaluator);
        training.Run(null, resume: false, CancellationToken.None);
        // An evaluation by plain sampling writes once. Who writes both is told for each.
        Assert.Equal(
            ["weights", "weights", "write 1", "evaluated 0", "write 64", "iteration 0", "weights", "weights", "write 1", "evaluated 1", "write 64", "iteration 1", "weights", "weights", "write 1", "evaluated 2"],
            events);
    }

    [Fact]
    public void An_engine_that_has_the_policys_weights_gives_the_policys_run_and_one_that_is_not_told_does_not()
    {
        Assert.Equal(Weights(_ => null), Weights(policy => new Engine(policy, [])));
        Assert.NotEqual(Weights(_ => null), Weights(policy => new Engine(policy, []) { IsDeaf = true }));
    }

    /// <summary>The start has no KL to itself, whatever the engine's log-probabilities are off by; the ratio is that of what was sampled.</summary>
    [Fact]
    public void Where_log_probabilities_are_not_the_policys_the_KL_is_of_the_policys_own()
    {
        Assert.Equal(0, Kl(writes: false, evaluates: false), 1e-6);
        Assert.Equal(0, Kl(writes: true, evaluates: false), 1e-6);
        Assert.Equal(0, Kl(writes: true, evaluates: true), 1e-6);

        static double Kl(bool writes, bool evaluates)
        {
            using var policy = new TabularModel(3, 3, null);
            var setup = ToyRun.Setup(policy, Presets.Ppo(), null, Ones, iterations: 1);
            setup = setup with { Update = setup.Update with { Epochs = 1, RowsPerMinibatch = 64 } };
            if (writes) setup = setup with { Writer = new Engine(policy, []) { Bias = -0.1f } };
            if (evaluates) setup = setup with { EvaluationWriter = new Engine(policy, []) { Bias = -0.1f } };
            var evaluator = new Evaluator { Prompts = setup.Prompts, Sampling = setup.Sampling, Reward = setup.Reward, Reference = setup.Reference, Tokenizer = setup.Tokenizer };
            var log = new MemoryLog();
            using var training = new GuidedTraining(setup, new TrainingSchedule(), log, evaluator);
            training.Run(null, resume: false, CancellationToken.None);
            // ρ = e^0.1 everywhere: k3 of it is e^0.1 − 1.1.
            if (writes) Assert.Equal(Math.Exp(0.1) - 1.1, log.Iterations[0].Metrics["policy/kl_to_old"], 1e-5);
            Assert.Equal(0, log.Evaluations[0].Metrics["kl/start"], 1e-6);
            return log.Iterations[0].Metrics["kl/start"];
        }
    }

    [Theory]
    [InlineData("too few", "the writer 'engine' returned 63 rows for 64: it must return one for each, in their order.")]
    [InlineData("none", "the writer 'engine' returned nothing (null) for 64: it must return one for each, in their order.")]
    [InlineData("short", "the writer 'engine' gave 2 log-probabilities to the 3 tokens of row 1 of 64: there must be one for each.")]
    [InlineData("throws", "the writer 'engine' failed on 64 rows: HttpRequestException: no connection")]
    [InlineData("weights", "the writer 'engine' failed on new weights: HttpRequestException: no connection")]
    public void A_writer_that_fails_or_answers_wrongly_is_one_line(string fault, string message)
    {
        using var policy = new TabularModel(3, 3, null);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), null, Ones, iterations: 1) with { Writer = new Engine(policy, []) { Fault = fault } };
        Assert.Equal(message, Assert.Throws<InputException>(() => ToyRun.Run(setup)).Message);
    }

    private static float[] Weights(Func<TabularModel, ITextWriter?> writer)
    {
        using var policy = new TabularModel(3, 3, null);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), null, Ones, iterations: 3);
        ToyRun.Run(writer(policy) is { } engine ? setup with { Writer = engine } : setup);
        return [.. policy.Logit.data<float>()];
    }

    private sealed class Log(List<string> events) : IRunLog
    {
        public void Iteration(IterationRecord record) => events.Add($"iteration {record.Iteration}");

        public void Evaluation(EvaluationRecord record) => events.Add($"evaluated {record.Iteration}");

        public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) { }
    }

    /// <summary>Has a copy of the weights, answers on another thread, and its log-probabilities are off by a constant.</summary>
    private sealed class Engine(ILanguageModel policy, List<string> events) : ITextWriter
    {
        private ILanguageModel? _own;

        public float Bias { get; init; }
        public string? Fault { get; init; }
        public bool IsDeaf { get; init; }
        public string Name => "engine";
        public ILanguageModel? LogProbsOf => null;

        public async Task<IReadOnlyList<GeneratedRow>> WriteAsync(IReadOnlyList<GenerationRequest> rows, SamplingSettings settings, ulong seed, CancellationToken cancellationToken)
        {
            events.Add($"write {rows.Count}");
            await Task.Yield();
            if (Fault == "throws") throw new HttpRequestException("no connection");
            GeneratedRow[] written = [.. TextGenerator.Generate(_own!, rows, settings, seed, cancellationToken).Select(row => row with { SampledLogProbs = [.. row.SampledLogProbs.Select(value => value + Bias)] })];
            if (Fault == "short") written[0] = written[0] with { SampledLogProbs = [0, 0] };
            return Fault == "none" ? null! : Fault == "too few" ? written[..^1] : written;
        }

        public Task WeightsChangedAsync(CancellationToken cancellationToken)
        {
            events.Add("weights");
            if (Fault == "weights") throw new HttpRequestException("no connection");
            if (!IsDeaf || _own is null) _own = policy.Clone();
            return Task.CompletedTask;
        }
    }
}
