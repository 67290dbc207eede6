using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Runs;

namespace Rlgf.App.Report;

/// <summary>What a report is made of, whether it is of one run, of one run for each algorithm, or of many runs and seeds.</summary>
/// <param name="Title">What was done.</param>
/// <param name="Runs">At least one.</param>
/// <param name="Note">Something that a reader must know before the numbers, such as that this was too short to learn much; null for nothing.</param>
internal sealed record ReportData(string Title, IReadOnlyList<ReportRun> Runs, string? Note = null)
{
    /// <summary>Keys of the recipe that were varied on purpose: results are also drawn against those of them that are numbers.</summary>
    public IReadOnlyList<string> VariedKeys { get; init; } = [];
}

/// <summary>One run as its folder tells it.</summary>
internal sealed record ReportRun
{
    /// <summary>Recipe, algorithm, guide and seed.</summary>
    public required RunDescription Description { get; init; }

    /// <summary>Iterations, oldest first.</summary>
    public required IReadOnlyList<IterationRecord> Iterations { get; init; }

    /// <summary>The policy's evaluations, oldest first; the one of iteration 0 is of the starting model.</summary>
    public required IReadOnlyList<EvaluationRecord> Evaluations { get; init; }

    /// <summary>The guide's own responses to the same prompts; null where none were made.</summary>
    public EvaluationRecord? Guide { get; init; }

    /// <summary>Training rows, token by token, oldest first.</summary>
    public IReadOnlyList<ReportSamples> Samples { get; init; } = [];

    /// <summary>Tripwires that were touched, oldest first.</summary>
    public IReadOnlyList<TripwireRecord> Tripwires { get; init; } = [];

    /// <summary>The resolved recipe's text; empty if unknown.</summary>
    public string Recipe { get; init; } = "";

    /// <summary>Its settings without the seed, by their keys; see <see cref="RunSettings"/>.</summary>
    public IReadOnlyDictionary<string, string> Settings { get => field ?? RunSettings.Of(Recipe, "."); init; }

    /// <summary>Where it ran; null if unknown.</summary>
    public RunEnvironment? Environment { get; init; }

    /// <summary>The starting model on the held-out prompts; null without an evaluation of iteration 0.</summary>
    public EvaluationRecord? Start => Evaluations.FirstOrDefault(e => e.Iteration == 0);

    /// <summary>The newest evaluation; null without any.</summary>
    public EvaluationRecord? Last => Evaluations.Count > 0 ? Evaluations[^1] : null;

    /// <summary>Seconds of training, evaluation not included.</summary>
    public double Seconds => Iterations.Sum(i => i.Metrics.GetValueOrDefault("seconds/total"));

    /// <summary>Reads a run's folder.</summary>
    /// <exception cref="InputException">It holds no run, or a file of it is malformed.</exception>
    public static ReportRun Read(RunFolder folder)
    {
        if (!Directory.Exists(folder.Path)) throw MissingFolder.Fault(folder.Path, "give folders that `rlgf train` wrote");
        if (folder.IsSupervised) throw new InputException($"{folder.Path}: is a run of supervised training, which answers no prompts that could be compared; what was measured is in {folder.EvaluationPath}");
        var recipe = File.Exists(folder.RecipePath) ? folder.ReadRecipe() : "";
        return new ReportRun
        {
            Description = folder.ReadDescription(),
            Iterations = folder.ReadMetrics(),
            Evaluations = folder.ReadEvaluations(),
            Guide = folder.ReadGuideEvaluation(),
            Samples = [.. folder.SampleIterations().Select(i => new ReportSamples(i, folder.ReadSamples(i)))],
            Tripwires = folder.ReadTripwires(),
            Recipe = recipe,
            Settings = RunSettings.Of(recipe, folder.Path),
            Environment = File.Exists(folder.EnvironmentPath) ? folder.ReadEnvironment() : null,
        };
    }
}

/// <summary>Training rows after so many iterations.</summary>
/// <param name="Iteration">Iterations done.</param>
/// <param name="Rows">The rows.</param>
internal sealed record ReportSamples(int Iteration, IReadOnlyList<SampleRecord> Rows);
