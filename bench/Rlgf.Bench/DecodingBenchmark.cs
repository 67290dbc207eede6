using System.Globalization;
using System.Runtime.Intrinsics;
using System.Text.Json;
using Rlgf.Models;
using Rlgf.Models.Blocks;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;

namespace Rlgf.Bench;

/// <summary>Decoding steps with packed weights and fused operations beside the same steps without, in turns.</summary>
/// <param name="Type">Type of the weights.</param>
/// <param name="Rows">Rows written at once.</param>
/// <param name="PlainMilliseconds">A step without either, each repeat.</param>
/// <param name="PackedMilliseconds">A step with both, each repeat.</param>
/// <param name="ReadMilliseconds">Reading all weights from memory once, each repeat: a decoder-only model's step takes no less.</param>
public sealed record DecodingFigures(string Type, int Rows, double[] PlainMilliseconds, double[] PackedMilliseconds, double[] ReadMilliseconds);

internal static class DecodingBenchmark
{
    private const int PromptTokens = 16, Steps = 8;

    // Kept, so that what was read counts as used.
    private static int _read;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Measures a folder's model or a shape of the benchmark's own.</summary>
    /// <param name="model">The folder or the shape.</param>
    /// <param name="rowCounts">Rows written at once, one measurement each.</param>
    /// <param name="precisions">Types of the weights.</param>
    /// <param name="repeats">Of each way.</param>
    /// <param name="output">File of the raw figures; null for none.</param>
    public static void Run(string model, IReadOnlyList<int> rowCounts, IReadOnlyList<Precision> precisions, int repeats, string? output)
    {
        var shape = Workload.Named(model);
        List<DecodingFigures> figures = [];
        Console.WriteLine("| type | rows | tokens/s plain | packed | packed / plain | step ms | weights read ms |\n|---|---|---|---|---|---|---|");
        foreach (var precision in precisions)
        {
            using var loaded = model == EncoderDecoderBenchmark.Name ? InType(EncoderDecoderBenchmark.NewModel(seed: 1), precision)
                : shape.Count == 0 ? LanguageModelFolder.Load(model, precision: precision) : InType(shape[0].NewModel(seed: 1), precision);
            foreach (var rows in rowCounts)
            {
                List<double> plain = [], packed = [], read = [];
                for (var repeat = -1; repeat < repeats; repeat++)
                {
                    double first;
                    using (PackedProducts.Off()) first = Step(loaded, rows);
                    var second = Step(loaded, rows);
                    if (repeat < 0) continue;
                    plain.Add(first);
                    packed.Add(second);
                    read.Add(1000 * Clock.Time(() => ReadWeights(loaded)));
                }

                figures.Add(new DecodingFigures(precision.ToString(), rows, [.. plain], [.. packed], [.. read]));
                var ratio = Clock.Median(plain.Zip(packed, (before, after) => before / after));
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {precision} | {rows} | {rows * 1000 / Clock.Median(plain):F0} | {rows * 1000 / Clock.Median(packed):F0} | {ratio:F2} | {Clock.Median(packed):F2} | {Clock.Median(read):F2} |"));
            }
        }

        if (output is not null) File.WriteAllText(output, JsonSerializer.Serialize(figures, Indented));
    }

    /// <summary>Reads all parameters from memory, one after the other, on one thread.</summary>
    private static unsafe void ReadWeights(ILanguageModel model)
    {
        const int Step = 4 * 64;
        var sum = Vector512<int>.Zero;
        foreach (var parameter in model.Module.parameters())
        {
            var first = VectorNumbers.Address(parameter);
            var end = first + (parameter.numel() * parameter.ElementSize / Step * Step);
            for (var at = first; at < end; at += Step) sum ^= (Vector512.Load((int*)at) ^ Vector512.Load((int*)(at + 64))) ^ (Vector512.Load((int*)(at + 128)) ^ Vector512.Load((int*)(at + 192)));
            GC.KeepAlive(parameter);
        }

        _read = Vector512.Sum(sum);
    }

    private static ILanguageModel InType(ILanguageModel made, Precision precision)
    {
        using var model = made;
        return PrecisionOfModels.CopyAs(model, precision);
    }

    /// <summary>Milliseconds of a step, the median of those of one text.</summary>
    private static double Step(ILanguageModel model, int rows)
    {
        var random = new Random(1);
        var tokens = new int[rows];
        using var decoder = model.StartDecoding([.. tokens.Select(_ => new TokenRow([.. Enumerable.Range(0, PromptTokens).Select(_ => random.Next(model.Shape.Vocabulary))], []))], Steps + 1);
        decoder.Append(tokens);
        return 1000 * Clock.Median(Enumerable.Range(0, Steps).Select(_ => Clock.Time(() => decoder.Append(tokens))).ToArray());
    }
}
