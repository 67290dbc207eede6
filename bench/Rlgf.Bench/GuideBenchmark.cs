using System.Globalization;
using Rlgf.Base;
using Rlgf.Composition;
using Rlgf.Endpoints;
using Rlgf.Endpoints.Tests;
using Rlgf.Evaluation;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.Bench;

/// <summary>
/// A guide that takes long: what of it an iteration waits for. Roll-ins are asked for when those of the iteration before are there, so that an iteration should take no longer than the longer of the two, the guide at its limit of calls in flight and all
/// that is done here. The three are measured in turn in one process, on the models of the quickstart.
/// </summary>
internal static class GuideBenchmark
{
    private const int Iterations = 9, InFlight = 32;

    /// <summary>Runs it.</summary>
    /// <param name="milliseconds">How long a call takes.</param>
    /// <param name="repeats">How often; the medians of all iterations are given.</param>
    public static void Run(int milliseconds, int repeats)
    {
        Console.WriteLine("| rows | calls | local s | of that update s | guide s | both s | of that waited s | both / the longer |");
        Console.WriteLine("|---:|---:|---:|---:|---:|---:|---:|---:|");
        foreach (var rows in (int[])[64, 128, 256])
        {
            List<double> local = [], update = [], both = [], waits = [], calls = [];
            for (var i = 0; i < repeats; i++)
            {
                var alone = Measure(rows, TimeSpan.Zero);
                local.AddRange(alone.Select(iteration => iteration.Seconds));
                update.AddRange(alone.Select(iteration => iteration.Update));
                var waited = Measure(rows, TimeSpan.FromMilliseconds(milliseconds));
                both.AddRange(waited.Select(iteration => iteration.Seconds));
                waits.AddRange(waited.Select(iteration => iteration.RollIn));
                calls.AddRange(waited.Select(iteration => iteration.Calls));
            }

            // What the calls of each iteration take by themselves, as many at once as may be.
            var guide = Median(calls.Select(count => Math.Ceiling(count / InFlight) * milliseconds / 1000));
            var longer = Math.Max(Median(local), guide);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {rows} | {Median(calls):F0} | {Median(local):F2} | {Median(update):F2} | {guide:F2} | {Median(both):F2} | {Median(waits):F2} | {Median(both) / longer:F2} |"));
        }
    }

    private static IReadOnlyList<(double Seconds, double Update, double RollIn, double Calls)> Measure(int rows, TimeSpan call)
    {
        // One word an answer, which takes as long as a call is to take.
        using var server = new OpenAiServer { TimeForWord = call, AnswerOf = _ => " good" };
        var folder = Directory.CreateTempSubdirectory("rlgf-bench-").FullName;
        try
        {
            var kinds = new PartKinds();
            kinds.Guides.AddOpenAi();
            string[] changes =
            [
                $"output={folder}", $"guide={{kind: openai, endpoint: '{server.Address}', model: m, mode: completion, in_flight: {InFlight}}}", $"iterations={Iterations}", $"rows_per_iteration={rows}",
                "algorithm.roll_in_probability=0.9", "evaluation.every=1000", "evaluation.prompts=1", "checkpoints.every=1000",
            ];
            using var run = TrainingRun.Own(RecipeFile.Load<TrainRecipe>(Path.Combine("recipes", "quickstart", "ppo_plus_plus.yaml"), changes.Select(change => new RecipeChange(change, change)), kinds), resume: false);
            var log = new Iterated();
            run.Train(resume: false, log, CancellationToken.None);
            // The first asks when it needs the answers, and pays for what is compiled.
            return [.. log.Records.Skip(2).Select(record => (record.Metrics["seconds/total"], record.Metrics["seconds/update"], record.Metrics["seconds/roll_in"], record.Metrics["roll_in/share"] * rows))];
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static double Median(IEnumerable<double> values) => values.Order().ToArray() is var sorted ? sorted[sorted.Length / 2] : double.NaN;

    private sealed class Iterated : IRunLog
    {
        public List<IterationRecord> Records { get; } = [];

        public void Iteration(IterationRecord record) => Records.Add(record);

        public void Evaluation(EvaluationRecord record) { }

        public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) { }
    }
}
