using Rlgf.Algorithms;
using Rlgf.Evaluation;
using Rlgf.Losses;
using Rlgf.Runs;

namespace Rlgf.Training;

/// <summary>How often a run looks at itself and saves itself.</summary>
public sealed record TrainingSchedule
{
    /// <summary>Iterations between evaluations; 0 for the first and the last only.</summary>
    public int EvaluateEvery { get; init; } = 10;

    /// <summary>Iterations between checkpoints; 0 for the last only.</summary>
    public int CheckpointEvery { get; init; } = 10;

    /// <summary>Iterations between samples; 0 for the first and the last only.</summary>
    public int SamplesEvery { get; init; } = 10;
}

/// <summary>How a run ended.</summary>
/// <param name="State">The state after the last whole iteration.</param>
/// <param name="Finished">Whether all iterations were done; false if it was stopped.</param>
public sealed record TrainingOutcome(TrainingState State, bool Finished);

/// <summary>A whole run: iterations, evaluations, samples, checkpoints.</summary>
public sealed class GuidedTraining : IDisposable
{
    private readonly TrainingSetup _setup;
    private readonly TrainingSchedule _schedule;
    private readonly IRunLog _log;
    private readonly Evaluator? _evaluator;

    /// <summary>Prepares a run.</summary>
    /// <param name="setup">What the run is given.</param>
    /// <param name="schedule">How often it evaluates and saves.</param>
    /// <param name="log">Where it writes what it sees.</param>
    /// <param name="evaluator">Held-out prompts; null for no evaluation.</param>
    public GuidedTraining(TrainingSetup setup, TrainingSchedule schedule, IRunLog log, Evaluator? evaluator = null)
    {
        TrainingChecks.ThrowIfImpossible(setup);
        (_setup, _schedule, _log, _evaluator) = (setup, schedule, log, evaluator);
        var actors = setup.Algorithm.Advantage == AdvantageEstimator.Gae ? Plans.RollOutActors(setup.Algorithm) : [];
        Critics = new Critics(actors, setup.CriticSharing, setup.Policy, setup.Policy.Clone);
        Learner = new Learner(setup, Critics);
    }

    /// <summary>The value functions.</summary>
    public Critics Critics { get; }

    /// <summary>The update and its optimiser.</summary>
    public Learner Learner { get; }

    /// <summary>Runs all iterations, from the newest checkpoint if asked to resume.</summary>
    /// <param name="store">Where checkpoints go; null for none.</param>
    /// <param name="resume">Whether to go on from the newest checkpoint, where there is one.</param>
    /// <param name="progress">Told after each iteration.</param>
    /// <param name="cancellationToken">Stops at the next point where no weight is half changed; what is done is saved first.</param>
    public TrainingOutcome Run(ICheckpointStore? store, bool resume, IProgress<IterationRecord>? progress, CancellationToken cancellationToken)
    {
        var state = (resume ? store?.LoadNewest() : null) ?? new TrainingState(0, _setup.Kl.NewController(), GuidanceGap.Unmeasured);
        var iteration = new GuidedIteration(_setup, Critics, Learner);
        var saved = state.Iteration;
        try
        {
            // A run that was stopped or killed after its checkpoint and before the evaluation of it makes that evaluation now; made twice, it is the same.
            if (IsEvaluated(state.Iteration)) Evaluate(state.Iteration, cancellationToken);
            while (state.Iteration < _setup.Iterations)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var result = iteration.Run(state, cancellationToken);
                state = result.State;
                var isLast = state.Iteration == _setup.Iterations;
                _log.Iteration(result.Record);
                if (isLast || state.Iteration == 1 || IsDue(_schedule.SamplesEvery, state.Iteration)) _log.Samples(state.Iteration, result.Samples);
                progress?.Report(result.Record);
                if (isLast || IsDue(_schedule.CheckpointEvery, state.Iteration))
                {
                    store?.Save(state);
                    saved = state.Iteration;
                }
                if (IsEvaluated(state.Iteration)) Evaluate(state.Iteration, cancellationToken);
            }
            return new(state, Finished: true);
        }
        catch (Exception exception) when (!iteration.IsUpdating)
        {
            // Stopped or failed where the weights are those of a whole number of iterations: keep them.
            if (saved < state.Iteration) store?.Save(state);
            if (exception is OperationCanceledException && cancellationToken.IsCancellationRequested) return new(state, Finished: false);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Learner.Dispose();
        Critics.Dispose();
    }

    private bool IsEvaluated(int iteration) => iteration == 0 || iteration == _setup.Iterations || IsDue(_schedule.EvaluateEvery, iteration);

    private static bool IsDue(int every, int iteration) => every > 0 && iteration % every == 0;

    private void Evaluate(int iteration, CancellationToken cancellationToken)
    {
        if (_evaluator is not null) _log.Evaluation(_evaluator.Evaluate(iteration, _setup.Policy, cancellationToken));
    }
}
