using Rlgf.Models;
using Rlgf.Models.Optimizers;
using Rlgf.Rollouts;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Bench;

/// <summary>Supervised steps: forward, backward and AdamW on a minibatch of whole texts of P + A tokens.</summary>
/// <param name="TokensPerSecond">Tokens learned from a second, median of the repeats.</param>
/// <param name="OperationsPerSecond">Of the products with weights, forward and backward.</param>
/// <param name="ShareOfProductRate">The same as a share of the rate of a large product.</param>
/// <param name="PeakMebibytes">The most memory that the process held.</param>
/// <param name="LiveTensorsBefore">Tensors alive before, optimiser state included.</param>
/// <param name="LiveTensorsAfter">Tensors alive after.</param>
public sealed record SupervisedFigures(
    double TokensPerSecond, double OperationsPerSecond, double ShareOfProductRate, double PeakMebibytes, long LiveTensorsBefore, long LiveTensorsAfter);

internal static class SupervisedBenchmark
{
    public static SupervisedFigures Run(Workload workload, ILanguageModel model, double productRate, int repeats)
    {
        var random = new Random(1);
        var length = workload.PromptTokens + workload.ResponseTokens;
        var rows = Enumerable.Range(0, workload.MinibatchRows)
            .Select(_ => Enumerable.Range(0, length).Select(_ => random.Next(workload.Vocabulary)).ToArray())
            .Select(tokens => new TokenRow(tokens[..1], tokens[1..]))
            .ToArray();
        using var optimizer = new FusedAdamW(ParameterGroup.Of(model.Module, learningRate: 1e-6, weightDecay: 0));
        Step(model, optimizer, rows);

        PeakMemory.Reset();
        var before = Tensor.TotalCount;
        var seconds = Clock.Median(Enumerable.Range(0, repeats).Select(_ => Clock.Time(() => Step(model, optimizer, rows))));
        var after = Tensor.TotalCount;
        optimizer.ClearGradients();
        double tokens = workload.MinibatchRows * (length - 1);
        var rate = 3 * workload.ForwardOperations(tokens, tokens) / seconds;
        return new SupervisedFigures(tokens / seconds, rate, rate / productRate, PeakMemory.Mebibytes, before, after);
    }

    private static void Step(ILanguageModel model, FusedAdamW optimizer, TokenRow[] rows)
    {
        using var scope = NewDisposeScope();
        optimizer.ClearGradients();
        var loss = -TokenLogProbs.OfRows(model, rows).mean();
        loss.backward();
        optimizer.Step();
    }
}
