using Rlgf.Base;
using Rlgf.Distributed;
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
    private bool _keepsNothing, _stopsAll;

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
        var found = resume ? store?.LoadNewest() : null;
        var state = found ?? TrainingState.Beginning(_setup);
        // Tripwires that the recipe has got since.
        if (_setup.Tripwires is not null) state = state with { Tripwires = state.Tripwires ?? TripwireState.New };
        using var iteration = new GuidedIteration(_setup, Critics, Learner);
        var (saved, logged) = (state.Iteration, state.Iteration);
        try
        {
            // A run that was stopped or killed after its checkpoint and before the evaluation of it makes that evaluation now; made twice, it is the same.
            Look(isKept: found is not null);
            while (state.Iteration < _setup.Iterations)
            {
                Dealt.ThrowIfStopped(_setup.Ranks, cancellationToken);
                var result = iteration.Run(state, cancellationToken);
                state = result.State;
                // The log first: a checkpoint says that what led to it has been written down.
                if (_schedule.HasSamples(state.Iteration, _setup.Iterations)) _log.Samples(state.Iteration, result.Samples);
                _log.Iteration(result.Record);
                foreach (var warning in result.Warnings) _log.Warning(state.Iteration, warning);
                logged = state.Iteration;
                // A run that may go back keeps what was found good, and so looks first.
                var isSaved = _schedule.IsSaved(state.Iteration, _setup.Iterations);
                if (GoesBack && Look(isSaved)) continue;
                if (isSaved)
                {
                    store?.Save(state);
                    saved = state.Iteration;
                }
                if (!GoesBack) Look(isSaved);
            }
            return state;

            // Whether it went back.
            bool Look(bool isKept)
            {
                (state, var wentBack) = Publish(state, isKept, store, cancellationToken);
                if (wentBack) (saved, logged, _keepsNothing) = (state.Iteration, state.Iteration, false);
                return wentBack;
            }
        }
        catch (Exception failure) when (!iteration.IsUpdating)
        {
            // A stop is one of all ranks; what failed on one of them the others know nothing of.
            if (failure is not OperationCanceledException && !_stopsAll && store is { NeedsAll: true }) throw;

            // Stopped or failed where the weights are those of a whole number of iterations: keep them. An iteration that could not be logged is done again by the run that goes on.
            if (!_keepsNothing && saved < state.Iteration && logged == state.Iteration) store?.Save(state);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Learner.Dispose();
        Critics.Dispose();
    }

    private bool GoesBack => _setup.Tripwires is { Action: TripwireAction.GoBack };

    /// <summary>Tells those who write of the policy's new weights, and lets it answer the held-out prompts where that is due.</summary>
    /// <param name="state">What was done.</param>
    /// <param name="isKept">Whether there is a checkpoint of it, or will be before another iteration: one to go back to.</param>
    /// <param name="store">Where checkpoints are.</param>
    /// <param name="cancellationToken">Stops.</param>
    /// <returns>The state to go on from, and whether that is an earlier one, as a tripwire says.</returns>
    private (TrainingState State, bool WentBack) Publish(TrainingState state, bool isKept, ICheckpointStore? store, CancellationToken cancellationToken)
    {
        CheckedRows.Update(_setup.Writer, cancellationToken);
        if (_evaluator is null || !_schedule.IsEvaluated(state.Iteration, _setup.Iterations)) return (state, false);
        CheckedRows.Update(_setup.EvaluationWriter, cancellationToken);
        var evaluation = _evaluator.Evaluate(state.Iteration, _setup.Policy, _setup.EvaluationWriter, cancellationToken);
        _log.Evaluation(evaluation);
        if (_setup.Tripwires is not { } wires || state.Tripwires is not { } before) return (state, false);
        var (next, touched) = before.Look(wires, evaluation);
        // What the first evaluation found is there to go back to.
        isKept |= GoesBack && state.Iteration == 0;
        state = state with { Tripwires = touched.Count == 0 && isKept ? next with { Good = state.Iteration } : next };
        if (touched.Count > 0) return Touched(state, touched, wires, store, cancellationToken);
        if (GoesBack && state.Iteration == 0) store?.Save(state);
        return (state, false);
    }

    /// <summary>Does what the recipe says of a tripwire that was touched.</summary>
    private (TrainingState State, bool WentBack) Touched(TrainingState state, IReadOnlyList<(string Wire, string Seen)> touched, TripwireSettings wires, ICheckpointStore? store, CancellationToken cancellationToken)
    {
        void Tell(string action)
        {
            foreach (var (wire, seen) in touched) _log.Tripwire(new(state.Iteration, wire, seen, action));
        }

        var goBacks = state.Tripwires!.GoBacks;
        if (wires.Action == TripwireAction.Warn)
        {
            Tell("warned");
            return (state, false);
        }

        // What was found bad is nothing to go on from, nor are weights that are no longer those of this state.
        _keepsNothing = GoesBack;
        var good = state.Tripwires.Good;
        if (GoesBack && goBacks < wires.MostGoBacks && store is not null && good is { } iteration)
        {
            var raised = state.Tripwires.Raised * wires.KlFactor;
            var back = store.GoBack(iteration, then =>
            {
                // Counted on from here: the checkpoint is of before, or was gone back to already where the run was killed meanwhile.
                var decided = then with
                {
                    Kl = then.Kl.Raised(raised / (then.Tripwires?.Raised ?? 1)),
                    Tripwires = (then.Tripwires ?? state.Tripwires) with { GoBacks = goBacks + 1, Raised = raised, Good = iteration },
                };
                Tell(FormattableString.Invariant($"went back to iteration {iteration} with the KL coefficient {decided.Kl.Coefficient:0.######}"));
                return decided;
            });
            _log.WentBack(iteration);
            CheckedRows.Update(_setup.Writer, cancellationToken);
            return (back, true);
        }

        Tell("stopped");
        _stopsAll = true;
        throw new InputException(FormattableString.Invariant($"stopped by the tripwire {touched[0].Wire} after {state.Iteration} iterations: {touched[0].Seen}")
            + (!GoesBack ? "" : good is null || store is null ? "; there is no checkpoint whose evaluation touched nothing, to go back to" : FormattableString.Invariant($"; the run went back {goBacks} times before"))
            + "; look at the answers, and go on with --resume after changing tripwires, or begin anew with a higher kl.coefficient");
    }
}
