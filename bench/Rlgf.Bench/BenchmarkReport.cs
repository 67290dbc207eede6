using System.Globalization;
using System.Text;
using System.Text.Json;
using Rlgf.Runs;

namespace Rlgf.Bench;

/// <summary>The machine's products, in the shapes that matter for a workload.</summary>
/// <param name="Large">Operations a second of 1024 × 1024 × 1024.</param>
/// <param name="Training">Of the first product of an MLP over a minibatch.</param>
/// <param name="Decoding">Of the same product over one token of each row.</param>
public sealed record ProductRates(double Large, double Training, double Decoding);

/// <summary>All figures of a workload.</summary>
public sealed record WorkloadFigures(
    Workload Workload, ProductRates OperationsPerSecond, IReadOnlyList<GenerationFigures> Generation, SupervisedFigures Supervised, IReadOnlyList<IterationFigures> Iterations);

/// <summary>All figures of a run, with where they were measured.</summary>
public sealed record BenchmarkReport(RunEnvironment Environment, IReadOnlyList<WorkloadFigures> Workloads, IReadOnlyList<EncoderDecoderFigures> EncoderDecoder)
{
    internal static readonly JsonSerializerOptions Options = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };
    private static readonly string[] Phases = ["roll_in", "roll_out", "reward", "gap", "reference", "values", "update", "total"];

    /// <summary>As JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Options);

    /// <summary>A workload's figures as tables in Markdown.</summary>
    public static string ToText(WorkloadFigures figures)
    {
        var text = new StringBuilder();
        var (workload, rates) = (figures.Workload, figures.OperationsPerSecond);
        text.Append(Invariant($"\n## {workload.Name}: {workload.Layers} layers × {workload.Width}, vocabulary {workload.Vocabulary}, {workload.Rows} rows, {workload.PromptTokens} + {workload.ResponseTokens} tokens\n\n"));
        text.Append(Invariant($"Products, GFLOP/s: {rates.Large / 1e9:F0} (1024³), {rates.Training / 1e9:F0} (training's shape), {rates.Decoding / 1e9:F0} (decoding's shape)\n\n"));

        text.Append("| generation | tokens/s | reading s | decoding s | choosing s | products s | decoding + choosing / products | peak MiB | live tensors |\n|---|---|---|---|---|---|---|---|---|\n");
        foreach (var row in figures.Generation)
        {
            text.Append(Invariant($"| {row.Sampling} | {row.TokensPerSecond:F0} | {row.ReadingSeconds:F2} | {row.DecodingSeconds:F2} | {row.ChoosingSeconds:F2} | {row.ProductSeconds:F2} | {row.DecodingOverProducts:F2} | {row.PeakMebibytes:F0} | {row.LiveTensorsBefore} → {row.LiveTensorsAfter} |\n"));
        }

        var sft = figures.Supervised;
        text.Append("\n| supervised step | tokens/s | GFLOP/s | share of products | peak MiB | live tensors |\n|---|---|---|---|---|---|\n");
        text.Append(Invariant($"| {workload.MinibatchRows} rows | {sft.TokensPerSecond:F0} | {sft.OperationsPerSecond / 1e9:F0} | {sft.ShareOfProductRate:P0} | {sft.PeakMebibytes:F0} | {sft.LiveTensorsBefore} → {sft.LiveTensorsAfter} |\n"));
        if (figures.Iterations.Count == 0)
        {
            return text.ToString();
        }

        text.Append(Invariant($"\n| one iteration, s | {string.Join(" | ", Phases)} | update GFLOP/s | share of products | peak MiB | live tensors |\n|---|{string.Concat(Phases.Select(_ => "---|"))}---|---|---|---|\n"));
        foreach (var row in figures.Iterations)
        {
            var seconds = string.Join(" | ", Phases.Select(phase => row.Seconds.TryGetValue(phase, out var value) ? Invariant($"{value:F2}") : "–"));
            text.Append(Invariant($"| {row.Algorithm} | {seconds} | {row.UpdateOperationsPerSecond / 1e9:F0} | {row.UpdateShareOfProductRate:P0} | {row.PeakMebibytes:F0} | {row.LiveTensorsBefore} → {row.LiveTensorsAfter} |\n"));
        }

        return text.ToString();
    }

    /// <summary>An encoder–decoder's figures as a table in Markdown.</summary>
    public static string ToText(IReadOnlyList<EncoderDecoderFigures> figures) => $"""

        ## {EncoderDecoderBenchmark.Name}: 6 + 6 layers × 512, 32 rows, 20 → 20 tokens

        | generation | tokens/s | peak MiB |
        |---|---|---|
        {string.Join('\n', figures.Select(row => Invariant($"| {row.How} | {row.TokensPerSecond:F0} | {row.PeakMebibytes:F0} |")))}

        """;

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
