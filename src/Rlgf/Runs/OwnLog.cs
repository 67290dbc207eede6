using Rlgf.Evaluation;
using Rlgf.Rewards;

namespace Rlgf.Runs;

/// <summary>A log that a recipe names, which may be somebody's own code: what goes wrong in it is said in one line with its name.</summary>
/// <param name="log">The log.</param>
internal sealed class OwnLog(IRunLog log) : IRunLog, IDisposable
{
    /// <inheritdoc/>
    public void Started(RunStart start) => Tell("the start", () => log.Started(start));

    /// <inheritdoc/>
    public void Iteration(IterationRecord record) => Tell(FormattableString.Invariant($"iteration {record.Iteration + 1}"), () => log.Iteration(record));

    /// <inheritdoc/>
    public void Evaluation(EvaluationRecord record) => Tell(FormattableString.Invariant($"the evaluation after {record.Iteration} iterations"), () => log.Evaluation(record));

    /// <inheritdoc/>
    public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) => Tell(FormattableString.Invariant($"the samples of iteration {iteration}"), () => log.Samples(iteration, samples));

    /// <inheritdoc/>
    public void Warning(int iteration, string message) => Tell(FormattableString.Invariant($"a warning after {iteration} iterations"), () => log.Warning(iteration, message));

    /// <inheritdoc/>
    public void Tripwire(TripwireRecord record) => Tell(FormattableString.Invariant($"a tripwire after {record.Iteration} iterations"), () => log.Tripwire(record));

    /// <inheritdoc/>
    public void WentBack(int iteration) => Tell(FormattableString.Invariant($"the way back to iteration {iteration}"), () => log.WentBack(iteration));

    /// <inheritdoc/>
    public void Step(StepRecord record) => Tell(FormattableString.Invariant($"step {record.Step}"), () => log.Step(record));

    /// <inheritdoc/>
    public void HeldOut(StepRecord record) => Tell(FormattableString.Invariant($"the held-out examples after {record.Step} steps"), () => log.HeldOut(record));

    /// <inheritdoc/>
    public void Dispose()
    {
        if (log is IDisposable disposable) Tell("the end", disposable.Dispose);
    }

    private void Tell(string what, Action tell) => OwnCode.Run($"the log {log.GetType().Name}", what, () => { tell(); return true; }, CancellationToken.None);
}
