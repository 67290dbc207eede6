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
    private bool _keepsNothing;

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
            state = Publish(state, store, cancellationToken);
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
                if (GoesBack) state = Publish(state, store, cancellationToken);
                if (_schedule.IsSaved(state.Iteration, _setup.Iterations))
                {
                    store?.Save(state);
                    saved = state.Iteration;
                }
                if (!GoesBack) state = Publish(state, store, cancellationToken);
            }
            return state;
        }
        catch (Exception) when (!iteration.IsUpdating)
        {
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
    /// <returns>The state to go on from: where a tripwire says so, that of an earlier checkpoint.</returns>
    private TrainingState Publish(TrainingState state, ICheckpointStore? store, CancellationToken cancellationToken)
    {
        CheckedRows.Update(_setup.Writer, cancellationToken);
        if (_evaluator is null || !_schedule.IsEvaluated(state.Iteration, _setup.Iterations)) return state;
        CheckedRows.Update(_setup.EvaluationWriter, cancellationToken);
        var evaluation = _evaluator.Evaluate(state.Iteration, _setup.Policy, _setup.EvaluationWriter, cancellationToken);
        _log.Evaluation(evaluation);
        if (_setup.Tripwires is not { } wires || state.Tripwires is not { } before) return state;
        var (next, touched) = before.Look(wires, evaluation);
        state = state with { Tripwires = next };
        if (touched.Count > 0) return Touched(state, touched, wires, store, cancellationToken);
        // What the first evaluation found is there to go back to.
        if (GoesBack && state.Iteration == 0) store?.Save(state);
        return state;
    }

    /// <summary>Does what the recipe says of a tripwire that was touched.</summary>
    private TrainingState Touched(TrainingState state, IReadOnlyList<(string Wire, string Seen)> touched, TripwireSettings wires, ICheckpointStore? store, CancellationToken cancellationToken)
    {
        void Tell(string action)
        {
            foreach (var (wire, seen) in touched) _log.Tripwire(new(state.Iteration, wire, seen, action));
        }

        var goBacks = state.Tripwires!.GoBacks;
        if (wires.Action == TripwireAction.Warn)
        {
            Tell("warned");
            return state;
        }

        if (wires.Action == TripwireAction.GoBack && goBacks < wires.MostGoBacks && store?.LoadNewest() is { } good)
        {
            // Counted on from here: the checkpoint is of before.
            good = good with { Kl = good.Kl.Raised(Math.Pow(wires.KlFactor, goBacks + 1 - (good.Tripwires?.GoBacks ?? 0))), Tripwires = (good.Tripwires ?? TripwireState.New) with { GoBacks = goBacks + 1 } };
            Tell(FormattableString.Invariant($"went back to iteration {good.Iteration} with the KL coefficient {good.Kl.Coefficient:0.######}"));
            _log.WentBack(good.Iteration);
            CheckedRows.Update(_setup.Writer, cancellationToken);
            return good;
        }

        Tell("stopped");
        // What was found bad is nothing to go back to.
        _keepsNothing = GoesBack;
        throw new InputException(FormattableString.Invariant($"stopped by the tripwire {touched[0].Wire} after {state.Iteration} iterations: {touched[0].Seen}")
            + (wires.Action == TripwireAction.GoBack ? FormattableString.Invariant($"; the run went back {goBacks} times before") : "")
            + "; look at the answers, and go on with --resume after changing tripwires, or begin anew with a higher kl.coefficient");
    }
}
