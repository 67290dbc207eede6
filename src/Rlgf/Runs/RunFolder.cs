using System.Globalization;
using Rlgf.Text;

namespace Rlgf.Runs;

/// <summary>
/// The folder of one run: the one place that knows what its files are called. <see cref="FolderRunLog"/> writes them, this type reads them back.
/// </summary>
/// <remarks>
/// <code>
/// run.json                            which recipe, algorithm, guide and seed
/// recipe.yaml                         the resolved recipe: all that is needed to run it again
/// environment.json                    the machine and the versions
/// metrics.jsonl                       one flat row an iteration
/// evaluation.jsonl                    one flat row an evaluation: means over its prompts
/// evaluations/iteration-00010.jsonl   one row a held-out prompt; guide.jsonl for the guide's own
/// samples/iteration-00010.jsonl       training rows, token by token
/// events/                             TensorBoard
/// checkpoints/                        Hugging Face folders with all that a resume needs
/// report.html                         everything above to look at
/// </code>
/// Readers are strict, with one exception: the last line of a jsonl file may be cut, as a killed run leaves it, and is then left out.
/// </remarks>
/// <param name="Path">The folder; it need not exist yet.</param>
public sealed record RunFolder(string Path)
{
    /// <summary>Which recipe, algorithm and seed this is; see <see cref="RunDescription"/>.</summary>
    public string DescriptionPath => In("run.json");

    /// <summary>The resolved recipe.</summary>
    public string RecipePath => In("recipe.yaml");

    /// <summary>The machine and the versions; see <see cref="RunEnvironment"/>.</summary>
    public string EnvironmentPath => In("environment.json");

    /// <summary>One flat row an iteration.</summary>
    public string MetricsPath => In("metrics.jsonl");

    /// <summary>One flat row an evaluation.</summary>
    public string EvaluationPath => In("evaluation.jsonl");

    /// <summary>Folder of the evaluations' rows.</summary>
    public string EvaluationsFolder => In("evaluations");

    /// <summary>Folder of training rows, token by token.</summary>
    public string SamplesFolder => In("samples");

    /// <summary>TensorBoard's folder.</summary>
    public string EventsFolder => In("events");

    /// <summary>Folder of the checkpoints.</summary>
    public string CheckpointsFolder => In("checkpoints");

    /// <summary>The report.</summary>
    public string ReportPath => In("report.html");

    /// <summary>Rows of the guide's own responses to the held-out prompts.</summary>
    public string GuideEvaluationRowsPath => System.IO.Path.Combine(EvaluationsFolder, "guide.jsonl");

    /// <summary>Name to show: the folder's own, without what leads to it.</summary>
    public string Name => new DirectoryInfo(Path).Name;

    /// <summary>Whether a run has written here.</summary>
    public bool HoldsRun => File.Exists(MetricsPath) || File.Exists(EvaluationPath);

    /// <summary>Rows of the evaluation after so many iterations.</summary>
    public string EvaluationRowsPath(int iteration) => System.IO.Path.Combine(EvaluationsFolder, FileName(iteration));

    /// <summary>Samples of one iteration.</summary>
    public string SamplesPath(int iteration) => System.IO.Path.Combine(SamplesFolder, FileName(iteration));

    /// <summary>Reads run.json.</summary>
    /// <exception cref="InputException">Not there or malformed.</exception>
    public RunDescription ReadDescription() => RunJson.ReadFile<RunDescription>(DescriptionPath);

    /// <summary>Reads environment.json.</summary>
    /// <exception cref="InputException">Not there or malformed.</exception>
    public RunEnvironment ReadEnvironment() => RunJson.ReadFile<RunEnvironment>(EnvironmentPath);

    /// <summary>Reads the resolved recipe as text.</summary>
    /// <exception cref="InputException">Not there.</exception>
    public string ReadRecipe()
    {
        RequireFile(RecipePath);
        return File.ReadAllText(RecipePath);
    }

    /// <summary>Reads metrics.jsonl, oldest first; empty if no iteration has ended yet.</summary>
    /// <exception cref="InputException">A malformed line, with its number.</exception>
    public IReadOnlyList<IterationRecord> ReadMetrics() => RowFile.ReadIfExists(MetricsPath, MetricRow.ParseIteration);

    /// <summary>Reads the policy's evaluations with their rows, oldest first.</summary>
    /// <exception cref="InputException">A malformed line, or an evaluation without its rows.</exception>
    public IReadOnlyList<EvaluationRecord> ReadEvaluations() =>
        [.. ReadEvaluationMeans().Where(e => e.Writer == Rollouts.Actor.Policy).OrderBy(e => e.Iteration)
            .Select(e => new EvaluationRecord(e.Iteration, e.Metrics, RowFile.Read(EvaluationRowsPath(e.Iteration), RunJson.Parse<EvaluationRow>)))];

    /// <summary>Reads the guide's evaluation; null where none was made.</summary>
    /// <exception cref="InputException">A malformed line, or an evaluation without its rows.</exception>
    public EvaluationRecord? ReadGuideEvaluation() =>
        ReadEvaluationMeans().LastOrDefault(e => e.Writer == Rollouts.Actor.Guide) is { } guide
            ? new EvaluationRecord(guide.Iteration, guide.Metrics, RowFile.Read(GuideEvaluationRowsPath, RunJson.Parse<EvaluationRow>))
            : null;

    /// <summary>Iterations with samples, in order.</summary>
    public IReadOnlyList<int> SampleIterations() => IterationsIn(SamplesFolder);

    /// <summary>Reads the samples of one iteration.</summary>
    /// <exception cref="InputException">Not there, or a malformed line.</exception>
    public IReadOnlyList<SampleRecord> ReadSamples(int iteration) => RowFile.Read(SamplesPath(iteration), RunJson.Parse<SampleRecord>);

    internal IReadOnlyList<EvaluationMeans> ReadEvaluationMeans() => RowFile.ReadIfExists(EvaluationPath, MetricRow.ParseEvaluation);

    /// <summary>Iterations that have a file in a folder of iteration-NNNNN.jsonl files, in order.</summary>
    internal static IReadOnlyList<int> IterationsIn(string folder)
    {
        if (!Directory.Exists(folder)) return [];
        const string start = "iteration-";
        return [.. Directory.EnumerateFiles(folder, start + "*.jsonl")
            .Select(file => System.IO.Path.GetFileNameWithoutExtension(file)[start.Length..])
            .Where(number => int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            .Select(number => int.Parse(number, CultureInfo.InvariantCulture)).Order()];
    }

    internal static void RequireFile(string path)
    {
        if (!File.Exists(path)) throw new InputException($"{path}: no such file; is this the folder of a run?");
    }

    private static string FileName(int iteration) => string.Create(CultureInfo.InvariantCulture, $"iteration-{iteration:00000}.jsonl");

    private string In(string name) => System.IO.Path.Combine(Path, name);
}
