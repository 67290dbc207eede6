using System.Globalization;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Rollouts;

namespace Rlgf.Runs;

/// <summary>
/// The folder of one run: the one place that knows what its files are called. <see cref="FolderRunLog"/> writes them, this type reads them back.
/// </summary>
/// <remarks>
/// <code>
/// run.json                            which recipe, algorithm, guide and seed
/// recipe.yaml                         the resolved recipe: all that is needed to run it again
/// environment.json                    the machine and the versions
/// inputs.json                         what the files were that the run reads
/// metrics.jsonl                       one flat row an iteration, or a step of a supervised training
/// tripwires.jsonl                     one row for each time that a tripwire was touched
/// evaluation.jsonl                    one flat row an evaluation: means over its prompts or its held-out examples
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

    /// <summary>What the files were that the run reads.</summary>
    public string InputsPath => In("inputs.json");

    /// <summary>How a supervised training ended; not there before.</summary>
    public string ResultPath => In("result.json");

    /// <summary>Of a reward model's training: what was measured at its end on held-out pairs.</summary>
    public string AssessmentPath => In("assessment.json");

    /// <summary>Of a reward model's training: the held-out pairs with their scores, one row each.</summary>
    public string PairScoresPath => In("held-out-scores.jsonl");

    /// <summary>Of a training on pairs: what the model that it started from makes of them, one row a pair.</summary>
    public string ReferencePath => In("reference.jsonl");

    /// <summary>Pairs that <c>rlgf pairs make</c> made, all of them; not there before.</summary>
    public string PairsPath => In("pairs.jsonl");

    /// <summary>Pairs while they are made.</summary>
    internal string UnfinishedPairsPath => In("pairs.unfinished.jsonl");

    /// <summary>Of pairs: what became of each batch of prompts.</summary>
    internal string PairProgressPath => In("progress.jsonl");

    /// <summary>One flat row an iteration, or a step of a supervised training.</summary>
    public string MetricsPath => In("metrics.jsonl");

    /// <summary>One row for each time that a tripwire was touched; not there where none was.</summary>
    public string TripwiresPath => In("tripwires.jsonl");

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

    /// <summary>What supervised trainings of older versions kept in place of metrics.jsonl and checkpoints.</summary>
    private const string OldLog = "training.jsonl", OldCheckpoints = "resume";

    /// <summary>Names of all that a run, or a supervised training, keeps in its folder.</summary>
    internal static readonly IReadOnlyList<string> OwnNames =
    [
        "run.json", "recipe.yaml", "environment.json", "inputs.json", "result.json", "assessment.json", "held-out-scores.jsonl", "reference.jsonl", "pairs.jsonl", "pairs.unfinished.jsonl", "progress.jsonl",
        "metrics.jsonl", "tripwires.jsonl", "evaluation.jsonl", "evaluations", "samples", "events", "checkpoints", "report.html",
        OldLog, OldCheckpoints, RunOwnership.LockName, RunOwnership.OwnerName,
    ];

    /// <summary>Whether a folder is that of a run or of a supervised training, begun or ended.</summary>
    internal static bool IsRun(string path) => new RunFolder(path) is var folder
        && (File.Exists(folder.In(RunOwnership.LockName)) || folder.HoldsRun || (File.Exists(folder.EnvironmentPath) && (File.Exists(folder.RecipePath) || File.Exists(folder.DescriptionPath))));

    /// <summary>Whether a run, or a supervised training, has written here.</summary>
    public bool HoldsRun => File.Exists(MetricsPath) || File.Exists(EvaluationPath) || File.Exists(ResultPath) || File.Exists(PairProgressPath)
        || CheckpointNaming.Iterations.AnyIn(CheckpointsFolder) || CheckpointNaming.Steps.AnyIn(CheckpointsFolder) || HoldsOldTraining;

    /// <summary>Whether the run is supervised training, which answers no prompts.</summary>
    /// <exception cref="InputException">run.json is malformed.</exception>
    public bool IsSupervised => HoldsOldTraining || File.Exists(ResultPath) || (File.Exists(DescriptionPath) && ReadDescription().IsSupervised);

    /// <summary>Why what the folder holds can't go on, as a clause; null where it can.</summary>
    internal string? Obstacle => HoldsOldTraining ? $"an older version trained in it, which kept {OldLog} and {OldCheckpoints} for it, and this one goes on with none of those"
        : File.Exists(ResultPath) && !CheckpointNaming.Steps.AnyIn(CheckpointsFolder) ? $"the training in it has ended, and there is no checkpoint in {CheckpointsFolder} to go on from"
        : null;

    private bool HoldsOldTraining => File.Exists(In(OldLog)) || CheckpointNaming.Steps.AnyIn(In(OldCheckpoints));

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

    /// <summary>Whether a file is the recipe that a run keeps in its folder, rather than one to begin runs with.</summary>
    public static bool IsRecipeOfRun(string file) =>
        new RunFolder(System.IO.Path.GetDirectoryName(file) is { Length: > 0 } folder ? folder : ".") is var run
        && System.IO.Path.GetFileName(file) == System.IO.Path.GetFileName(run.RecipePath) && File.Exists(run.EnvironmentPath);

    /// <summary>Reads the resolved recipe as text.</summary>
    /// <exception cref="InputException">Not there.</exception>
    public string ReadRecipe()
    {
        RequireFile(RecipePath);
        return RegularFile.ReadText(RecipePath);
    }

    /// <summary>Reads metrics.jsonl, oldest first; empty if no iteration has ended yet.</summary>
    /// <exception cref="InputException">A malformed line, with its number.</exception>
    public IReadOnlyList<IterationRecord> ReadMetrics() => RowFile.ReadIfExists(MetricsPath, MetricRow.ParseIteration);

    /// <summary>Reads metrics.jsonl of a supervised training, oldest first; empty if no step has ended yet.</summary>
    /// <exception cref="InputException">A malformed line, with its number.</exception>
    public IReadOnlyList<StepRecord> ReadSteps() => RowFile.ReadIfExists(MetricsPath, MetricRow.ParseStep);

    /// <summary>Reads evaluation.jsonl of a supervised training, oldest first.</summary>
    /// <exception cref="InputException">A malformed line, with its number.</exception>
    public IReadOnlyList<StepRecord> ReadHeldOut() => RowFile.ReadIfExists(EvaluationPath, MetricRow.ParseStep);

    /// <summary>Reads the policy's evaluations with their rows, oldest first.</summary>
    /// <exception cref="InputException">A malformed line, or an evaluation without its rows.</exception>
    public IReadOnlyList<EvaluationRecord> ReadEvaluations() =>
        [.. ReadEvaluationMeans().Where(e => e.Writer == Actor.Policy).OrderBy(e => e.Iteration)
            .Select(e => new EvaluationRecord(e.Iteration, e.Metrics, RowFile.Read(EvaluationRowsPath(e.Iteration), RunJson.Parse<EvaluationRow>)))];

    /// <summary>Reads the guide's evaluation; null where none was made.</summary>
    /// <exception cref="InputException">A malformed line, or an evaluation without its rows.</exception>
    public EvaluationRecord? ReadGuideEvaluation() =>
        ReadEvaluationMeans().LastOrDefault(e => e.Writer == Actor.Guide) is { } guide
            ? new EvaluationRecord(guide.Iteration, guide.Metrics, RowFile.Read(GuideEvaluationRowsPath, RunJson.Parse<EvaluationRow>))
            : null;

    /// <summary>Reads tripwires.jsonl, oldest first; empty where none was touched.</summary>
    /// <exception cref="InputException">A malformed line, with its number.</exception>
    public IReadOnlyList<TripwireRecord> ReadTripwires() => RowFile.ReadIfExists(TripwiresPath, RunJson.Parse<TripwireRecord>);

    /// <summary>Iterations with samples, in order.</summary>
    public IReadOnlyList<int> SampleIterations() => IterationsIn(SamplesFolder);

    /// <summary>Reads the samples of one iteration.</summary>
    /// <exception cref="InputException">Not there, or a malformed line.</exception>
    public IReadOnlyList<SampleRecord> ReadSamples(int iteration) => RowFile.Read(SamplesPath(iteration), RunJson.Parse<SampleRecord>);

    /// <summary>Whether the guide's evaluation is there whole: its row of means, and a row for each prompt.</summary>
    internal bool HasGuideEvaluation(int prompts)
    {
        if (!File.Exists(GuideEvaluationRowsPath)) return false;
        try
        {
            return ReadGuideEvaluation()?.Rows.Count == prompts;
        }
        catch (InputException)
        {
            return false;
        }
    }

    /// <summary>What a run must have written before its checkpoint and is not there, one line each: a log that was deleted, or that a power cut took.</summary>
    /// <param name="done">Iterations before the checkpoint.</param>
    /// <param name="isEvaluated">Whether an evaluation was due after so many iterations.</param>
    internal IEnumerable<string> Missing(int done, Func<int, bool> isEvaluated)
    {
        foreach (var note in MissingRows("iteration", Enumerable.Range(0, done), [.. ReadMetrics().Select(record => record.Iteration)])) yield return note;
        // That at the checkpoint itself is made again.
        var evaluations = ReadEvaluationMeans().Where(means => means.Writer == Actor.Policy && File.Exists(EvaluationRowsPath(means.Iteration))).Select(means => means.Iteration);
        var unseen = Enumerable.Range(0, done).Where(isEvaluated).Except(evaluations).ToArray();
        if (unseen.Length > 0) yield return $"{EvaluationPath} or {EvaluationsFolder} lacks the evaluation after {Spans("iteration", unseen)}: reports and comparisons will be without it";
    }

    /// <summary>As <see cref="Missing"/>, of a supervised training.</summary>
    /// <param name="done">Steps before the checkpoint.</param>
    /// <param name="isMeasured">Whether the held-out examples were due after so many steps.</param>
    internal IEnumerable<string> MissingSteps(int done, Func<int, bool> isMeasured)
    {
        foreach (var note in MissingRows("step", Enumerable.Range(1, done), [.. ReadSteps().Select(record => record.Step)])) yield return note;
        var unseen = Enumerable.Range(0, done + 1).Where(isMeasured).Except(ReadHeldOut().Select(record => record.Step)).ToArray();
        if (unseen.Length > 0) yield return $"{EvaluationPath} lacks what was measured after {Spans("step", unseen)}";
    }

    private IEnumerable<string> MissingRows(string what, IEnumerable<int> due, int[] rows)
    {
        var lost = due.Except(rows).ToArray();
        if (lost.Length > 0) yield return $"{MetricsPath} has no row of {Spans(what, lost)}: what was measured then is lost, the training is not";
        var twice = rows.GroupBy(number => number).Where(same => same.Count() > 1).Select(same => same.Key).ToArray();
        if (twice.Length > 0) yield return $"{MetricsPath} has more than one row of {Spans(what, twice)}";
    }

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

    /// <summary>Numbers in words: "iterations 0 to 3 and 7".</summary>
    private static string Spans(string what, int[] numbers)
    {
        var spans = new List<(int First, int Last)>();
        foreach (var number in numbers.Order())
        {
            if (spans.Count > 0 && spans[^1].Last == number - 1) spans[^1] = (spans[^1].First, number);
            else spans.Add((number, number));
        }

        var words = spans.Select(span => FormattableString.Invariant(span.First == span.Last ? $"{span.First}" : (FormattableString)$"{span.First} to {span.Last}"));
        return $"{what}{(numbers.Length > 1 ? "s" : "")} {string.Join(" and ", words)}";
    }

    private static string FileName(int iteration) => string.Create(CultureInfo.InvariantCulture, $"iteration-{iteration:00000}.jsonl");

    private string In(string name) => System.IO.Path.Combine(Path, name);
}
