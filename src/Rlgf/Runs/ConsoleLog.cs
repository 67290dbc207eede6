using System.Globalization;
using Rlgf.Evaluation;

namespace Rlgf.Runs;

/// <summary>A line an iteration, for programs that want no more.</summary>
/// <param name="output">Where the lines go.</param>
public sealed class ConsoleLog(TextWriter output) : IRunLog
{
    /// <inheritdoc/>
    public void Iteration(IterationRecord record) => Write("iteration", record.Iteration + 1, record.Metrics);

    /// <inheritdoc/>
    public void Evaluation(EvaluationRecord record) => Write("evaluation after iteration", record.Iteration, record.Metrics);

    /// <inheritdoc/>
    public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) { }

    private void Write(string what, int iteration, IReadOnlyDictionary<string, double> metrics)
    {
        try
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what} {iteration}: reward {metrics["reward/mean"]:0.000}, KL {metrics["kl/start"]:0.00}, {metrics["response/length"]:0.0} tokens"));
        }
        catch (IOException)
        {
            // The terminal is gone, or the pipe's reader: no reason to end a run.
        }
    }
}
