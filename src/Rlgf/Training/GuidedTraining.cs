using Rlgf.Evaluation;
using Rlgf.Rollouts;
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

    /// <summary>Whether the policy is evaluated after so many iterations of a run.</summary>
    /// <param name="done">Iterations done.</param>
    /// <param name="iterations">Iterations of the run.</param>
    public bool IsEvaluated(int done, int iterations) => done == 0 || done == iterations || IsDue(EvaluateEvery, done);

    internal bool HasSamples(int done, int iterations) => done == 1 || done == iterations || IsDue(SamplesEvery, done);

    internal bool IsSaved(int done, int iterations) => done == iterations || IsDue(CheckpointEvery, done);

    private static bool IsDue(int every, int iteration) => every > 0 && iteration % every == 0;
}

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
    /// <param name="log">Told what it sees; <see cref="RunLogs"/> are several.</param>
    /// <param name="evaluator">Held-out prompts; null for no evaluation.</param>
    public GuidedTraining(TrainingSetup setup, TrainingSchedule schedule, IRunLog log, Evaluator? evaluator = null)
    {
        TrainingChecks.ThrowIfImpossible(setup);
        (_setup, _schedule, _log, _evaluator) = (setup, schedule, log, evaluator);
        Critics = Critics.For(setup);
        Learner = new Learner(setup, Critics);
    }

    /// <summary>The value functions.</summary>
    public Critics Critics { get; }

    /// <summary>The update and its optimiser.</summary>
    public Learner Learner { get; }

    /// <summary>Runs all iterations, from the newest checkpoint if asked to resume.</summary>
    /// <param name="store">Where checkpoints go; null for none.</param>
    /// <param name="resume">Whether to go on from the newest checkpoint, where there is one.</param>
    /// <param name="cancellationToken">Stops at the next point where no weight is half changed; what is done is saved first.</param>
    /// <returns>The state after the last iteration.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public TrainingState Run(ICheckpointStore? store, bool resume, CancellationToken cancellationToken)
    {
        var state = (resume ? store?.LoadNewest() : null) ?? TrainingState.Beginning(_setup);
        using var iteration = new GuidedIteration(_setup, Critics, Learner);
        var (saved, logged) = (state.Iteration, state.Iteration);
        try
        {
            // A run that was stopped or killed after its checkpoint and before the evaluation of it makes that evaluation now; made twice, it is the same.
            Publish(state.Iteration, cancellationToken);
            while (state.Iteration < _setup.Iterations)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var result = iteration.Run(state, cancellationToken);
                state = result.State;
                // The log first: a checkpoint says that what led to it has been written down.
                if (_schedule.HasSamples(state.Iteration, _setup.Iterations)) _log.Samples(state.Iteration, result.Samples);
                _log.Iteration(result.Record);
                foreach (var warning in result.Warnings) _log.Warning(state.Iteration, warning);
                logged = state.Iteration;
                if (_schedule.IsSaved(state.Iteration, _setup.Iterations))
                {
                    store?.Save(state);
                    saved = state.Iteration;
                }
                Publish(state.Iteration, cancellationToken);
            }
            return state;
        }
        catch (Exception) when (!iteration.IsUpdating)
        {
            // Stopped or failed where the weights are those of a whole number of iterations: keep them. An iteration that could not be logged is done again by the run that goes on.
            if (saved < state.Iteration && logged == state.Iteration) store?.Save(state);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Learner.Dispose();
        Critics.Dispose();
    }

    /// <summary>Tells those who write of the policy's new weights, and lets it answer the held-out prompts where that is due.</summary>
    private void Publish(int iteration, CancellationToken cancellationToken)
    {
        CheckedRows.Update(_setup.Writer, cancellationToken);
        if (_evaluator is null || !_schedule.IsEvaluated(iteration, _setup.Iterations)) return;
        CheckedRows.Update(_setup.EvaluationWriter, cancellationToken);
        _log.Evaluation(_evaluator.Evaluate(iteration, _setup.Policy, _setup.EvaluationWriter, cancellationToken));
    }
}
