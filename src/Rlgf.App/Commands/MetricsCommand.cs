using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Metrics;
using Rlgf.Runs;
using Rlgf.Statistics;
using Rlgf.Text.Data;
using Rlgf.Text.Metrics;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf metrics</c>: predictions against references, by the metrics of the field.</summary>
internal static class MetricsCommand
{
    /// <summary>What is computed where nothing is named: metrics of texts and references that need nothing else.</summary>
    private static readonly string[] Usual =
        ["bleu", "bleu_coco_1", "bleu_coco_2", "bleu_coco_3", "bleu_coco_4", "chrf", "chrf++", "ter", "rouge1", "rouge2", "rougeL", "rougeLsum", "meteor", "cider", "cider_d"];

    private static readonly string[] UsualWithoutReferences = ["distinct_1", "distinct_2", "distinct_3"];

    private const int MostResamples = 1_000_000;

    /// <summary>What was asked for.</summary>
    private sealed record Request(string Predictions, string? References, string? Frequencies, string? Known, string Concepts, string Output, ulong Seed, int Resamples);

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var predictions = CommonOptions.Required("--predictions", "FILE", "Rows {\"id\"?, \"text\"}: jsonl, csv, tsv or parquet; - is JSON lines from standard input.");
        var references = Text("--references", "FILE", "Rows {\"id\"?, \"references\": [...]}, with \"concepts\": [...] for coverage. Without it only metrics of texts alone can be computed.");
        var metrics = Text("--metrics", "NAMES",
            $"Names with commas between them: {string.Join(", ", MetricCatalog.All.Select(metric => metric.Name))}. Without it: those that need nothing but the two files.");
        var output = Text("--output", "FILE", "Where {\"corpus\", \"rows\"} goes, as one JSON object; without it, standard output.");
        var concepts = new Option<string>("--concepts-column") { HelpName = "NAME", Description = "Column of the references that coverage looks for.", DefaultValueFactory = _ => "concepts" };
        var frequencies = Text("--frequencies", "FILE", "Rows {\"references\": [...]} in which CIDEr counts how rare n-grams are, such as the training references. Without it, --references, as the reference tool does.");
        var known = Text("--known", "FILE", "Rows {\"text\"}, such as the training texts, whose n-grams are not new to novelty.");
        var sources = new MetricOptions();
        var seed = CommonOptions.Number("--seed", 0UL, "Decides the resampled texts of the intervals.");
        var resamples = CommonOptions.Number("--resamples", 1000, "How many times texts are drawn anew for the intervals; 0 for none.");
        var command = new Command("metrics", CommonOptions.Describe(
            "Measures predictions against references. Rows are matched by \"id\" where both files have it and by their place where none has. \"corpus\" has for each metric its value and a 95 % interval " +
            "[low, high] of resampled rows (null for distinct_n and self_bleu, which resampling would change); \"rows\" the value of each text. docs/metrics.md says what each metric equals.",
            "rlgf metrics --predictions out.jsonl --references test.jsonl --metrics bleu,rougeL,cider_d"));
        foreach (var option in (Option[])[predictions, references, metrics, output, sources.Stem, concepts, frequencies, sources.Synonyms, known, .. sources.OfModels, seed, resamples]) command.Add(option);
        command.SetAction(parsed =>
        {
            var request = new Request(
                parsed.GetRequiredValue(predictions), parsed.GetValue(references), parsed.GetValue(frequencies), parsed.GetValue(known), parsed.GetRequiredValue(concepts),
                parsed.GetValue(output) ?? "-", parsed.GetValue(seed), parsed.GetValue(resamples));
            if (request.Resamples is < 0 or > MostResamples) throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"--resamples {request.Resamples}: expected 0 to {MostResamples}"));
            if (request.Resamples == 0 && IsGiven(parsed, seed)) throw new UsageException("--seed decides what is drawn for the intervals, and --resamples 0 asks for none; leave one of them out");
            if (request is { Predictions: "-", References: "-" }) throw new UsageException("--references: standard input is that of --predictions already");
            var names = Names(parsed.GetValue(metrics), request.References is not null);
            RefuseUnused(names, [
                .. sources.Uses(parsed), ("--frequencies", request.Frequencies is not null, ["cider", "cider_d"]), ("--concepts-column", IsGiven(parsed, concepts), ["coverage"]),
                ("--known", request.Known is not null, ["novelty_1", "novelty_2", "novelty_3", "novelty_4"])]);
            string?[] inputs = [request.Predictions, request.References, request.Frequencies, request.Known, parsed.GetValue(sources.Synonyms)];
            RowOutput.Require(request.Output, inputs.OfType<string>());
            // Before rows are read: a device that isn't there is heard of first.
            using var loaded = sources.Load(parsed);
            var rows = Rows(request, names, terminal);
            var catalog = sources.Catalog(parsed, loaded, [.. rows.SelectMany(row => row.Measured.References)], new MetricSources
            {
                Frequencies = () => Frequencies(request, rows),
                KnownTexts = request.Known is { } texts ? () => [.. TextDataset.ReadRows(texts).Select(row => row.GetString("text"))] : null,
            });
            return Measure([.. names.Select(name => catalog.Make(name, HowToGive))], rows, request, terminal);
        });
        return command;
    }

    private static int Measure(TextMetric[] metrics, IReadOnlyList<MeasuredRow> rows, Request request, Terminal terminal)
    {
        MeasuredText[] texts = [.. rows.Select(row => row.Measured)];
        var statistics = new IReadOnlyList<double[]>[metrics.Length];
        using (var progress = new ProgressLine(terminal, "metrics", "metrics", metrics.Length))
        {
            for (var m = 0; m < metrics.Length; m++)
            {
                statistics[m] = metrics[m].Statistics(texts, terminal.Stop);
                progress.Report(m + 1);
            }

            progress.Done();
        }

        var intervals = SumBootstrap.Of(
            [.. metrics.Zip(statistics, (metric, of) => (of, metric.OfTexts is null ? metric.OfSum : _ => null))], request.Seed, request.Resamples, cancellationToken: terminal.Stop);
        var corpus = new JsonObject();
        for (var m = 0; m < metrics.Length; m++)
        {
            var value = metrics[m].OfTexts is { } whole ? whole(texts) : metrics[m].OfSum(Sum(statistics[m]));
            corpus[metrics[m].Name] = new JsonObject { ["value"] = value, ["low"] = intervals[m]?.Low, ["high"] = intervals[m]?.High };
        }

        var values = new JsonArray();
        for (var i = 0; i < rows.Count; i++)
        {
            var row = new JsonObject();
            if (rows[i].Id is { } id) row["id"] = id is long number ? number : (string)id;
            for (var m = 0; m < metrics.Length; m++) row[metrics[m].Name] = metrics[m].OfText(statistics[m][i]);
            values.Add(row);
        }

        Write(new JsonObject { ["corpus"] = corpus, ["rows"] = values }, request.Output, terminal);
        return ExitCode.Ok;
    }

    private static void Write(JsonObject result, string output, Terminal terminal)
    {
        using var rows = new RowOutput(output, terminal);
        rows.Write(result);
        rows.Complete();
    }

    private static IReadOnlyList<MeasuredRow> Rows(Request request, IReadOnlyList<string> names, Terminal terminal)
    {
        var references = request.References is { } path ? RowInput.Read(path, terminal) : null;
        return MeasuredFiles.Read(
            RowInput.Read(request.Predictions, terminal), Called(request.Predictions), references, Called(request.References ?? ""), names.Contains("coverage") ? request.Concepts : null);
    }

    private static string Called(string path) => path == "-" ? "standard input" : path;

    private static DocumentFrequencies Frequencies(Request request, IReadOnlyList<MeasuredRow> rows) =>
        DocumentFrequencies.OfTexts(request.Frequencies is { } path ? TextDataset.ReadRows(path).Select(row => MeasuredFiles.ReferencesOf(row)) : rows.Select(row => row.Measured.References));

    private static string[] Names(string? given, bool hasReferences)
    {
        string[] names = given is null ? [.. hasReferences ? Usual : [], .. UsualWithoutReferences] : given.Split(',', StringSplitOptions.TrimEntries);
        foreach (var name in names) if (MetricCatalog.Problem(name) is { } problem) throw new UsageException($"--metrics: {problem}");
        if (names.GroupBy(name => name).FirstOrDefault(same => same.Count() > 1) is { } twice) throw new UsageException($"--metrics: '{twice.Key}' is named twice");
        return hasReferences || Array.Find(names, NeedsReferences) is not { } needy ? names : throw new UsageException($"--metrics: {needy} needs --references");
    }

    private static bool NeedsReferences(string name) =>
        name is "bertscore" or "spice" || (name is not "perplexity" && TextMetrics.Make(name, new MetricSources { Frequencies = () => new([]), KnownTexts = () => [] })!.Need != MetricNeed.Nothing);

    private static void RefuseUnused(IReadOnlyList<string> names, (string Option, bool IsGiven, string[] Of)[] options)
    {
        foreach (var (option, isGiven, of) in options)
            if (isGiven && !names.Any(of.Contains)) throw new UsageException($"{option} is for {string.Join(", ", of)}, which is not among the metrics asked for");
    }

    private static string HowToGive(MetricNeedOf what) => what switch
    {
        MetricNeedOf.Encoder => "name its folder with --encoder",
        MetricNeedOf.Model => "name its folder with --model",
        MetricNeedOf.Spice => "name it with --spice",
        _ => "name their file with --known",
    };

    private static double[] Sum(IReadOnlyList<double[]> statistics)
    {
        var sum = new double[statistics[0].Length];
        foreach (var one in statistics) for (var k = 0; k < sum.Length; k++) sum[k] += one[k];
        return sum;
    }

    private static bool IsGiven(ParseResult parsed, Option option) => parsed.GetResult(option) is { Implicit: false };

    private static Option<string?> Text(string name, string valueName, string description) => new(name) { HelpName = valueName, Description = description };
}
