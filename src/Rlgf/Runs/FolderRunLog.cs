using System.Text.Json;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Rollouts;

namespace Rlgf.Runs;

/// <summary>Writes what a run sees into its folder. Every row is on disk before the next is made, so a kill or a power cut loses at most the row being written.</summary>
/// <remarks>The layout is <see cref="RunFolder"/>'s. Not for use from several threads.</remarks>
public sealed class FolderRunLog : IRunLog, IDisposable
{
    private readonly RunFolder _folder;
    private EventFile _events;

    private FolderRunLog(RunFolder folder, int firstIteration)
    {
        _folder = folder;
        _events = new EventFile(folder.EventsFolder, firstIteration);
    }

    /// <summary>Begins a new run: writes run.json and environment.json and opens the rest.</summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="description">What the run is.</param>
    /// <param name="environment">Where it runs.</param>
    /// <remarks>It writes no recipe: only what trains by one keeps it, so that nothing is evaluated by a recipe that it was not made by.</remarks>
    /// <exception cref="InputException">The folder holds a run already.</exception>
    public static FolderRunLog Begin(RunFolder folder, RunDescription description, RunEnvironment environment)
    {
        ArgumentNullException.ThrowIfNull(folder);
        if (folder.HoldsRun) throw new InputException($"{folder.Path}: holds a run already; go on with --resume, or choose another folder");
        RunJson.WriteFile(folder.DescriptionPath, description);
        RunJson.WriteFile(folder.EnvironmentPath, environment);
        return new FolderRunLog(folder, firstIteration: 0);
    }

    /// <summary>
    /// Goes on with a run at an iteration. What a killed run wrote beyond its checkpoint is dropped first, so that nothing is there twice: metrics of
    /// <paramref name="iteration"/> and later, evaluations and samples after more than that many iterations.
    /// </summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="iteration">Number of the next iteration, from the checkpoint.</param>
    /// <exception cref="InputException">A file is malformed.</exception>
    public static FolderRunLog Resume(RunFolder folder, int iteration)
    {
        ArgumentNullException.ThrowIfNull(folder);
        Drop(folder, iteration);
        return new FolderRunLog(folder, iteration);
    }

    /// <summary>Drops what was written beyond an iteration. Which tripwires were touched on a way that was left stays.</summary>
    private static void Drop(RunFolder folder, int iteration)
    {
        Keep(folder.MetricsPath, folder.ReadMetrics(), record => record.Iteration < iteration, MetricRow.Format);
        // A row of means promises its file.
        Keep(folder.EvaluationPath, folder.ReadEvaluationMeans(), means => means.Iteration <= iteration && File.Exists(RowsPath(folder, means.Writer, means.Iteration)), MetricRow.Format);
        foreach (var late in RunFolder.IterationsIn(folder.SamplesFolder).Where(i => i > iteration)) File.Delete(folder.SamplesPath(late));
        foreach (var late in RunFolder.IterationsIn(folder.EvaluationsFolder).Where(i => i > iteration)) File.Delete(folder.EvaluationRowsPath(late));
    }

    /// <summary>Goes on with a supervised training after so many steps; as <see cref="Resume"/>, but what was measured after that step stays, as the checkpoint has it too.</summary>
    /// <param name="folder">The training's folder.</param>
    /// <param name="steps">Steps done, from the checkpoint.</param>
    /// <exception cref="InputException">A file is malformed.</exception>
    public static FolderRunLog ResumeSteps(RunFolder folder, int steps)
    {
        ArgumentNullException.ThrowIfNull(folder);
        Keep(folder.MetricsPath, folder.ReadSteps(), record => record.Step <= steps, MetricRow.Format);
        Keep(folder.EvaluationPath, folder.ReadHeldOut(), record => record.Step <= steps, MetricRow.Format);
        return new FolderRunLog(folder, steps + 1);
    }

    /// <inheritdoc/>
    public void Iteration(IterationRecord record)
    {
        ArgumentNullException.ThrowIfNull(record);
        RowFile.Append(_folder.MetricsPath, MetricRow.Format(record));
        var plan = new Dictionary<string, double>
        {
            ["plan/roll_in_probability"] = record.Plan.RollInProbability,
            ["plan/guide_credit"] = record.Plan.GuideCredit,
            ["plan/guide_rolls_out"] = record.Plan.RollOut == Actor.Guide ? 1 : 0,
        };
        _events.Scalars(record.Iteration, record.Metrics.Concat(plan));
    }

    /// <inheritdoc/>
    /// <remarks>An evaluation of the same iteration replaces the one before: a run resumed at an evaluation makes it again.</remarks>
    public void Evaluation(EvaluationRecord record)
    {
        ArgumentNullException.ThrowIfNull(record);
        Evaluation(record, Actor.Policy);
        _events.Scalars(record.Iteration, Evaluated(record.Metrics));
    }

    /// <inheritdoc/>
    /// <remarks>The same one of the same evaluation is written once: a run that is resumed at an evaluation makes it again.</remarks>
    public void Tripwire(TripwireRecord record)
    {
        if (!_folder.ReadTripwires().Contains(record)) RowFile.Append(_folder.TripwiresPath, JsonSerializer.Serialize(record, RunJson.Line));
    }

    /// <inheritdoc/>
    public void WentBack(int iteration)
    {
        Drop(_folder, iteration);
        _events.Dispose();
        _events = new EventFile(_folder.EventsFolder, iteration);
    }

    /// <inheritdoc/>
    public void Step(StepRecord record)
    {
        ArgumentNullException.ThrowIfNull(record);
        RowFile.Append(_folder.MetricsPath, MetricRow.Format(record));
        _events.Scalars(record.Step, record.Metrics);
    }

    /// <inheritdoc/>
    /// <remarks>What was measured after the same step before is replaced.</remarks>
    public void HeldOut(StepRecord record)
    {
        ArgumentNullException.ThrowIfNull(record);
        Keep(_folder.EvaluationPath, _folder.ReadHeldOut(), old => old.Step != record.Step, MetricRow.Format);
        RowFile.Append(_folder.EvaluationPath, MetricRow.Format(record));
        _events.Scalars(record.Step, Evaluated(record.Metrics));
    }

    /// <summary>The guide's own responses to the held-out prompts, in the same order as the policy's: what the policy is compared with.</summary>
    public void GuideEvaluation(EvaluationRecord record)
    {
        ArgumentNullException.ThrowIfNull(record);
        Evaluation(record, Actor.Guide);
    }

    /// <inheritdoc/>
    public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) => WriteRows(_folder.SamplesPath(iteration), samples);

    /// <inheritdoc/>
    public void Dispose() => _events.Dispose();

    /// <summary>Metrics of an evaluation by names that those of iterations and steps don't have.</summary>
    private static IEnumerable<KeyValuePair<string, double>> Evaluated(IReadOnlyDictionary<string, double> metrics) => metrics.Select(metric => KeyValuePair.Create("evaluation/" + metric.Key, metric.Value));

    private static string RowsPath(RunFolder folder, Actor writer, int iteration) => writer == Actor.Guide ? folder.GuideEvaluationRowsPath : folder.EvaluationRowsPath(iteration);

    private void Evaluation(EvaluationRecord record, Actor writer)
    {
        var means = new EvaluationMeans(record.Iteration, writer, record.Metrics);
        // Rows first: a row of means promises its file.
        WriteRows(RowsPath(_folder, writer, record.Iteration), record.Rows);
        Keep(_folder.EvaluationPath, _folder.ReadEvaluationMeans(), old => old.Writer != writer || old.Iteration != record.Iteration, MetricRow.Format);
        RowFile.Append(_folder.EvaluationPath, MetricRow.Format(means));
    }

    private static void WriteRows<T>(string path, IReadOnlyList<T> rows) =>
        RowFile.Write(path, rows.Select(row => JsonSerializer.Serialize(row, RunJson.Line)));

    /// <summary>Rewrites a file with the rows to keep, and without a line that was cut.</summary>
    private static void Keep<T>(string path, IReadOnlyList<T> rows, Func<T, bool> keep, Func<T, string> format)
    {
        if (File.Exists(path)) RowFile.Write(path, rows.Where(keep).Select(format));
    }
}
