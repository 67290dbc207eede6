using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Bench;

/// <summary>One iteration of an algorithm, after one to warm up.</summary>
/// <param name="Algorithm">Its name.</param>
/// <param name="Seconds">By phase; <c>total</c> is their sum.</param>
/// <param name="PolicyTokens">Tokens of the policy in the batch.</param>
/// <param name="UpdateOperationsPerSecond">Products with weights in the update, forward and backward, as if each row were read to its end.</param>
/// <param name="UpdateShareOfProductRate">The same as a share of the rate of a large product.</param>
/// <param name="PeakMebibytes">The most memory that the process held.</param>
/// <param name="LiveTensorsBefore">Tensors alive before, optimiser state included.</param>
/// <param name="LiveTensorsAfter">Tensors alive after.</param>
public sealed record IterationFigures(
    string Algorithm, IReadOnlyDictionary<string, double> Seconds, long PolicyTokens, double UpdateOperationsPerSecond, double UpdateShareOfProductRate,
    double PeakMebibytes, long LiveTensorsBefore, long LiveTensorsAfter);

/// <summary>The models of an iteration, all of one shape.</summary>
internal sealed record IterationModels(ILanguageModel Policy, ILanguageModel Reference, ILanguageModel Guide, ISequenceClassifier Reward);

internal static class IterationBenchmark
{
    private const int Epochs = 5;

    public static IterationFigures Run(Workload workload, IterationModels models, string algorithm, double productRate)
    {
        var (policy, reference, guide, classifier) = models;
        var tokenizer = new NumberTokenizer(workload.Vocabulary);
        var random = new Random(1);
        var prompts = Enumerable.Range(0, workload.Rows)
            .Select(_ => Enumerable.Range(0, workload.PromptTokens).Select(_ => random.Next(workload.Vocabulary)).ToArray())
            .Select(tokens => new Prompt(tokenizer.Decode(tokens), tokens))
            .ToArray();
        var sampling = new SamplingSettings { MaxNewTokens = workload.ResponseTokens, TopK = 50 };
        var setup = new TrainingSetup
        {
            Policy = policy,
            Reference = reference,
            Tokenizer = tokenizer,
            Guide = new LocalModelGuide("guide", guide, tokenizer, tokenizer, sampling),
            Reward = new ClassifierReward("classifier", classifier, tokenizer, "good", includePrompt: true),
            Prompts = prompts,
            Sampling = sampling,
            // The switch comes after both iterations: AggreVaTeD's half of D²LOLS, PPO++ being its other half.
            Algorithm = Presets.Named(algorithm, switchIteration: 2)!,
            Update = new UpdateSettings { Epochs = Epochs, RowsPerMinibatch = workload.MinibatchRows, LearningRate = 1e-7, CriticLearningRate = 1e-7 },
            Iterations = 2,
            RowsPerIteration = workload.Rows - (workload.Rows % Presets.Named(algorithm, 2)!.GroupSize),
            Seed = 1,
        };
        using var critics = Critics.For(setup);
        using var learner = new Learner(setup, critics);
        using var iteration = new GuidedIteration(setup, critics, learner);
        var state = iteration.Run(new TrainingState(0, setup.Kl.NewController(), GuidanceGap.Unmeasured), CancellationToken.None).State;

        PeakMemory.Reset();
        var before = Tensor.TotalCount;
        var result = iteration.Run(state, CancellationToken.None);
        var after = Tensor.TotalCount;
        learner.PolicyOptimizer.ClearGradients();

        const string prefix = "seconds/";
        var seconds = result.Record.Metrics.Where(metric => metric.Key.StartsWith(prefix, StringComparison.Ordinal)).ToDictionary(metric => metric.Key[prefix.Length..], metric => metric.Value);
        var policyTokens = result.State.PolicyTokens - state.PolicyTokens;
        var read = setup.RowsPerIteration * (workload.PromptTokens + workload.ResponseTokens - 1.0);
        var rate = Epochs * 3 * workload.ForwardOperations(read, policyTokens) / seconds["update"];
        return new IterationFigures(algorithm, seconds, policyTokens, rate, rate / productRate, PeakMemory.Mebibytes, before, after);
    }
}
