using Rlgf.Models;
using Rlgf.Models.Generation;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Bench;

/// <summary>Writing B responses of A tokens to prompts of P tokens, all different.</summary>
/// <param name="Sampling">How tokens were chosen.</param>
/// <param name="TokensPerSecond">New tokens a second, median of the repeats.</param>
/// <param name="ReadingSeconds">Reading the prompts.</param>
/// <param name="DecodingSeconds">All steps after the first token, choosing tokens left out.</param>
/// <param name="ChoosingSeconds">Choosing tokens: processing, drawing, log-probabilities.</param>
/// <param name="ProductSeconds">What the matrix products of those steps take alone, measured between the repeats.</param>
/// <param name="DecodingOverProducts">Decoding steps and choosing tokens, in multiples of their matrix products.</param>
/// <param name="PeakMebibytes">The most memory that the process held.</param>
/// <param name="LiveTensorsBefore">Tensors alive before.</param>
/// <param name="LiveTensorsAfter">Tensors alive after.</param>
public sealed record GenerationFigures(
    string Sampling, double TokensPerSecond, double ReadingSeconds, double DecodingSeconds, double ChoosingSeconds, double ProductSeconds, double DecodingOverProducts,
    double PeakMebibytes, long LiveTensorsBefore, long LiveTensorsAfter);

internal static class GenerationBenchmark
{
    public static GenerationFigures Run(Workload workload, ILanguageModel model, string name, Func<SamplingSettings, SamplingSettings> how, int repeats)
    {
        var random = new Random(1);
        var requests = Enumerable.Range(0, workload.Rows)
            .Select(row => new GenerationRequest(new TokenRow([.. Enumerable.Range(0, workload.PromptTokens).Select(_ => random.Next(workload.Vocabulary))], []), (ulong)row))
            .ToArray();
        var settings = how(new SamplingSettings { MaxNewTokens = workload.ResponseTokens });
        TextGenerator.Generate(model, requests, settings with { MaxNewTokens = 4 }, seed: 0);

        PeakMemory.Reset();
        var before = Tensor.TotalCount;
        var runs = Enumerable.Range(0, repeats).Select(repeat =>
        {
            var timed = new TimedLanguageModel(model);
            IReadOnlyList<GeneratedRow> rows = [];
            var seconds = Clock.Time(() => rows = TextGenerator.Generate(timed, requests, settings, seed: (ulong)repeat));
            var products = MatrixProducts.DecodingStepSeconds(model, workload.Rows) * timed.Steps;
            var choosing = seconds - timed.ReadingSeconds - timed.AppendingSeconds - timed.SelectingSeconds;
            return (Rate: rows.Sum(row => row.Tokens.Length) / seconds, Timed: timed, Choosing: choosing, Products: products);
        }).ToArray();

        double Median(Func<(double Rate, TimedLanguageModel Timed, double Choosing, double Products), double> value) => Clock.Median(runs.Select(value));
        return new GenerationFigures(
            name,
            Median(run => run.Rate),
            Median(run => run.Timed.ReadingSeconds),
            Median(run => run.Timed.AppendingSeconds + run.Timed.SelectingSeconds),
            Median(run => run.Choosing),
            Median(run => run.Products),
            Median(run => (run.Timed.AppendingSeconds + run.Timed.SelectingSeconds + run.Choosing) / run.Products),
            PeakMemory.Mebibytes,
            before,
            Tensor.TotalCount);
    }
}
