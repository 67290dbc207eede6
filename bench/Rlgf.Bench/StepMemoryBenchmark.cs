using System.Globalization;
using System.Text.Json;
using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.Optimizers;
using Rlgf.Models.Tensors;
using Rlgf.Rollouts;
using Rlgf.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Bench;

/// <summary>What a supervised step takes in one of the ways.</summary>
/// <param name="Way">Which.</param>
/// <param name="Seconds">Median of the repeats.</param>
/// <param name="PeakMebibytes">The most memory that the process held.</param>
/// <param name="OverModelMebibytes">The same over what it held between two steps: weights, gradients and the optimiser's moments.</param>
/// <param name="Loss">Mean over tokens, before the first step of this way: the ways must agree.</param>
/// <param name="LiveTensors">Tensors alive afterwards.</param>
public sealed record StepMemoryFigures(string Way, double Seconds, double PeakMebibytes, double OverModelMebibytes, double Loss, long LiveTensors);

/// <summary>Supervised steps (forward, backward, AdamW) with all logits at once and in parts, with activations kept and computed again, in turns in one process.</summary>
internal static class StepMemoryBenchmark
{
    private sealed record Way(string Name, int? PositionsPerPart, bool RecomputesActivations);

    private static readonly Way[] All =
        [new("all logits at once", 0, false), new("logits in parts", null, false), new("all logits at once, activations computed again", 0, true), new("logits in parts, activations computed again", null, true)];

    /// <summary>Measures and prints a table.</summary>
    /// <param name="of">A shape, or a language model's folder.</param>
    /// <param name="lora">Whether a LoRA adapter is trained rather than all weights.</param>
    /// <param name="ways">Which of the ways, by their numbers from 1; all where it is empty.</param>
    /// <param name="repeats">Of each way.</param>
    /// <param name="output">Where the figures go as JSON; null for nowhere.</param>
    public static void Run(string of, bool lora, IReadOnlyList<int> ways, int repeats, string? output)
    {
        Way[] chosen = ways.Count == 0 ? All : [.. ways.Select(way => All[way - 1])];
        var workload = Directory.Exists(of) ? null : Workload.Named(of) is [var only, ..] ? only : throw new InputException($"There is no folder and no shape '{of}'; see --help.");
        using var model = workload is null ? LanguageModelFolder.Load(of) : workload.NewModel(seed: 1);
        if (lora) LoraAdapters.Attach(model, new LoraSettings(), workload is null ? of : ".", seed: 2);
        var (rows, length) = workload is null ? (32, 64) : (workload.MinibatchRows, workload.PromptTokens + workload.ResponseTokens);
        var random = new Random(1);
        TokenRow[] texts = [.. Enumerable.Range(0, rows).Select(_ => Enumerable.Range(0, length).Select(_ => random.Next(model.Shape.Vocabulary)).ToArray()).Select(tokens => new TokenRow(tokens[..1], tokens[1..]))];
        using var optimizer = new FusedAdamW(ParameterGroup.Of(model.Module, learningRate: 1e-12, weightDecay: 0));

        var measured = chosen.ToDictionary(way => way, _ => new List<StepMemoryFigures>());
        for (var repeat = 0; repeat <= repeats; repeat++)
        {
            foreach (var way in chosen)
            {
                PeakMemory.ReturnFreeMemory();
                PeakMemory.Reset();
                var before = PeakMemory.Mebibytes;
                double loss = 0;
                var seconds = Clock.Time(() => loss = Step(model, optimizer, texts, way));
                // The first of each compiles products and makes the moments.
                if (repeat > 0) measured[way].Add(new(way.Name, seconds, PeakMemory.Mebibytes, PeakMemory.Mebibytes - before, loss, Tensor.TotalCount));
            }
        }
        StepMemoryFigures[] figures = [.. chosen.Select(way => new StepMemoryFigures(
            way.Name, Clock.Median(measured[way].Select(one => one.Seconds)), measured[way].Max(one => one.PeakMebibytes), measured[way].Max(one => one.OverModelMebibytes), measured[way][0].Loss, measured[way][^1].LiveTensors))];
        Console.WriteLine(FormattableString.Invariant($"## {of}{(lora ? " with an adapter" : "")}: {rows} rows × {length} tokens, {rows * (length - 1)} scored positions, vocabulary {model.Shape.Vocabulary}\n"));
        Console.WriteLine("| way | s | peak MiB | over the model MiB | loss | live tensors |\n|---|---|---|---|---|---|");
        foreach (var one in figures)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {one.Way} | {one.Seconds:F2} | {one.PeakMebibytes:F0} | {one.OverModelMebibytes:F0} | {one.Loss:F6} | {one.LiveTensors} |"));
        if (output is not null)
            File.WriteAllText(output, JsonSerializer.Serialize(new { Environment = RunEnvironment.Capture(), Model = of, Lora = lora, Rows = rows, Tokens = length, Figures = figures, Repeats = measured.Values }, BenchmarkReport.Options));
    }

    private static double Step(ILanguageModel model, FusedAdamW optimizer, TokenRow[] texts, Way way)
    {
        using var scope = NewDisposeScope();
        optimizer.ClearGradients();
        model.RecomputesActivations = way.RecomputesActivations;
        var loss = -TokenLogProbs.OfRows(model, texts, way.PositionsPerPart).mean();
        loss.Backward();
        optimizer.Step();
        return loss.item<float>();
    }
}
