using Rlgf.Evaluation;

namespace Rlgf.Runs;

/// <summary>Several logs as one, told in their order: a folder's, a progress line, somebody's own.</summary>
/// <param name="logs">The logs; those that are added to the list later are told of what comes after.</param>
public sealed class RunLogs(IReadOnlyList<IRunLog> logs) : IRunLog
{
    /// <summary>Nobody.</summary>
    public static RunLogs None { get; } = new([]);

    /// <inheritdoc/>
    public void Started(RunStart start)
    {
        foreach (var log in logs) log.Started(start);
    }

    /// <inheritdoc/>
    public void Iteration(IterationRecord record)
    {
        foreach (var log in logs) log.Iteration(record);
    }

    /// <inheritdoc/>
    public void Evaluation(EvaluationRecord record)
    {
        foreach (var log in logs) log.Evaluation(record);
    }

    /// <inheritdoc/>
    public void Samples(int iteration, IReadOnlyList<SampleRecord> samples)
    {
        foreach (var log in logs) log.Samples(iteration, samples);
    }

    /// <inheritdoc/>
    public void Warning(int iteration, string message)
    {
        foreach (var log in logs) log.Warning(iteration, message);
    }

    /// <inheritdoc/>
    public void Tripwire(TripwireRecord record)
    {
        foreach (var log in logs) log.Tripwire(record);
    }

    /// <inheritdoc/>
    public void WentBack(int iteration)
    {
        foreach (var log in logs) log.WentBack(iteration);
    }

    /// <inheritdoc/>
    public void Step(StepRecord record)
    {
        foreach (var log in logs) log.Step(record);
    }

    /// <inheritdoc/>
    public void HeldOut(StepRecord record)
    {
        foreach (var log in logs) log.HeldOut(record);
    }
}
