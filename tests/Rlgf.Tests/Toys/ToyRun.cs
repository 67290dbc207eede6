using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Guides;
using Rlgf.Losses;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Training;

namespace Rlgf.Tests.Toys;

/// <summary>A small run on a tabular policy.</summary>
internal static class ToyRun
{
    /// <summary>A setup whose reward is a function of the response's digits.</summary>
    public static TrainingSetup Setup(TabularModel policy, AlgorithmSettings algorithm, IGuide? guide, Func<string, double> reward, int iterations = 10, ulong seed = 1) => new()
    {
        Policy = policy,
        Reference = policy.Clone(),
        Tokenizer = new DigitTokenizer(policy.Vocabulary, policy.End),
        Guide = guide,
        Reward = new FunctionReward("toy", response => reward(string.Concat(response.Tokens))),
        Prompts = [new Prompt("", [])],
        Sampling = new SamplingSettings { MaxNewTokens = policy.Horizon, EndTokens = policy.End is { } end ? [end] : [] },
        Algorithm = algorithm,
        Kl = new KlSettings { Coefficient = 0 },
        Update = new UpdateSettings
        {
            Epochs = 2, RowsPerMinibatch = 32, LearningRate = 0.05, CriticLearningRate = 0.1, MaxGradientNorm = 100, AdamEpsilon = 1e-8, Reduction = LossReduction.TokenMean,
        },
        Iterations = iterations,
        RowsPerIteration = 64,
        Seed = seed,
    };

    /// <summary>Runs it and gives the records of its iterations.</summary>
    public static IReadOnlyList<IterationRecord> Run(TrainingSetup setup)
    {
        var log = new MemoryLog();
        using var training = new GuidedTraining(setup, new TrainingSchedule { CheckpointEvery = 0, EvaluateEvery = 0 }, log);
        training.Run(null, resume: false, CancellationToken.None);
        return log.Iterations;
    }

    /// <summary>A guide that samples from a table of probabilities over the digits.</summary>
    public static IGuide Guide(int horizon, int? end, Func<string, double[]> probabilities) => new FunctionGuide("table", request =>
    {
        var start = string.Concat(request.ResponseTokens);
        var text = start;
        while (text.Length < horizon && (end is null || !text.Contains((char)('0' + end))))
        {
            var u = RandomStream.Uniform(7, request.Stream, (ulong)text.Length);
            var p = probabilities(text);
            var token = 0;
            while (token < p.Length - 1 && u >= p[token]) u -= p[token++];
            text += token;
        }
        var written = text[start.Length..];
        var ended = end is not null && written.EndsWith((char)('0' + end));
        return new GuideContinuation(ended ? written[..^1] : written, ended, [.. written.Select(c => c - '0')]);
    });

    /// <summary>Rows to write under one plan, each a group of its own.</summary>
    public static PlannedRow[] Rows(IEnumerable<Prompt> prompts, RolloutPlan plan) => [.. prompts.Select((prompt, row) => new PlannedRow(prompt, plan, row) { Number = row })];

    /// <summary>Mean reward of a policy by enumeration.</summary>
    public static double ExpectedReward(TabularModel policy, Func<string, double> reward)
    {
        return Value("");
        double Value(string prefix)
        {
            if (prefix.Length == policy.Horizon || (policy.End is { } end && prefix.Contains((char)('0' + end)))) return reward(prefix);
            var p = policy.Probabilities(ToyTask.Ids(prefix));
            return Enumerable.Range(0, policy.Vocabulary).Sum(token => p[token] * Value(prefix + token));
        }
    }
}

/// <summary>Keeps what a run logs.</summary>
internal sealed class MemoryLog : IRunLog
{
    public List<IterationRecord> Iterations { get; } = [];
    public List<EvaluationRecord> Evaluations { get; } = [];
    public List<SampleRecord> SampleRows { get; } = [];
    public List<(int Iteration, string Message)> Warnings { get; } = [];
    public List<TripwireRecord> Tripwires { get; } = [];

    public void Iteration(IterationRecord record) => Iterations.Add(record);
    public void Warning(int iteration, string message) => Warnings.Add((iteration, message));
    public void Evaluation(EvaluationRecord record) => Evaluations.Add(record);
    public void Tripwire(TripwireRecord record) => Tripwires.Add(record);
    public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) => SampleRows.AddRange(samples);
}
