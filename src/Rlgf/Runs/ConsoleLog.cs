using System.Globalization;
using Rlgf.Evaluation;

namespace Rlgf.Runs;

/// <summary>A line an iteration, or a step of a supervised training, for programs that want no more.</summary>
/// <param name="output">Where the lines go.</param>
public sealed class ConsoleLog(TextWriter output) : IRunLog
{
    /// <inheritdoc/>
    public void Iteration(IterationRecord record) => Write("iteration", record.Iteration + 1, Answers(record.Metrics));

    /// <inheritdoc/>
    public void Evaluation(EvaluationRecord record) => Write("evaluation after iteration", record.Iteration, Answers(record.Metrics));

    /// <inheritdoc/>
    public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) { }

    /// <inheritdoc/>
    public void Warning(int iteration, string message) => Write("warning after iteration", iteration, [message]);

    /// <inheritdoc/>
    public void Tripwire(TripwireRecord record) => Write("tripwire after iteration", record.Iteration, [$"{record.Seen}: {record.Action}"]);

    /// <inheritdoc/>
    public void Step(StepRecord record) => Write("step", record.Step, [.. record.Metrics.Where(metric => metric.Key == "loss").Select(Shown)]);

    /// <inheritdoc/>
    public void HeldOut(StepRecord record) => Write("held-out after step", record.Step, [.. record.Metrics.Select(Shown)]);

    private static string[] Answers(IReadOnlyDictionary<string, double> metrics) =>
        [string.Create(CultureInfo.InvariantCulture, $"reward {metrics["reward/mean"]:0.000}, KL {metrics["kl/start"]:0.00}, {metrics["response/length"]:0.0} tokens")];

    private static string Shown(KeyValuePair<string, double> metric) => string.Create(CultureInfo.InvariantCulture, $"{metric.Key.Replace('_', ' ')} {metric.Value:0.000}");

    private void Write(string what, int number, string[] figures)
    {
        try
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what} {number}: {string.Join(", ", figures)}"));
        }
        catch (IOException)
        {
            // The terminal is gone, or the pipe's reader: no reason to end a run.
        }
    }
}
