using System.Globalization;
using Rlgf.Text.Data;
using Rlgf.Text.Metrics;

namespace Rlgf.Bench;

/// <summary>How many rows a second the metrics of texts score, tokens included, on one thread.</summary>
internal static class MetricsBenchmark
{
    private static readonly string[] Names = ["bleu", "chrf", "ter", "rouge1", "rougeL", "meteor", "cider_d"];

    /// <summary>Measures each metric by itself.</summary>
    /// <param name="file">Rows with <c>text</c> and <c>references</c>.</param>
    /// <param name="repeats">How often; medians are printed.</param>
    public static void Run(string file, int repeats)
    {
        (string Text, IReadOnlyList<string> References)[] rows = [.. TextDataset.ReadRows(file).Select(row => (row.GetString("text"), MeasuredFiles.ReferencesOf(row)))];
        Console.WriteLine($"{rows.Length} rows, {rows.Sum(row => row.References.Count)} references, one thread; thousands of rows a second");
        foreach (var name in Names) Console.WriteLine($"{name,-20}{Rate(name).ToString("0.0", CultureInfo.InvariantCulture),9}");

        double Rate(string name)
        {
            var times = Enumerable.Range(0, repeats + 1).Select(repeat => Clock.Time(() =>
            {
                // Made anew, so that nothing is kept of the last time; how rare n-grams are is counted in the same references, as pycocoevalcap does.
                MeasuredText[] texts = [.. rows.Select(row => new MeasuredText(row.Text, row.References))];
                var metric = TextMetrics.Make(name, new MetricSources { Frequencies = () => DocumentFrequencies.OfTexts(rows.Select(row => row.References)) })!;
                _ = metric.Statistics(texts, CancellationToken.None);
            })).ToArray();
            // The first time compiles.
            return rows.Length / Clock.Median(times.Skip(1)) / 1000;
        }
    }
}
