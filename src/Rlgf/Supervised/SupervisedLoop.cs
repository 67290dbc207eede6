using System.Diagnostics;
using Rlgf.Base;
using Rlgf.Models.Optimizers;
using Rlgf.Models.Tensors;
using Rlgf.Runs;
using Rlgf.Training;
using static TorchSharp.torch;

namespace Rlgf.Supervised;

/// <summary>
/// The training loop of language models and classifiers: steps in a seeded order, evaluations, the best model by held-out loss in the folder, checkpoints to resume from.
/// What a step does is a pure function of the settings, the step's number and the weights, so a resumed training equals one that was never stopped.
/// </summary>
internal sealed class SupervisedLoop : IDisposable
{
    private readonly ISupervisedTask _task;
    private readonly SupervisedSettings _settings;
    private readonly string _folder;
    private readonly BatchOrder _order;
    private readonly IReadOnlyList<ParameterGroup> _groups;
    private readonly FusedAdamW _optimizer;
    private readonly SupervisedCheckpoints _checkpoints;
    private bool _isUpdating;

    /// <summary>Prepares a training.</summary>
    /// <param name="task">What is learned.</param>
    /// <param name="settings">How.</param>
    /// <param name="folder">Where the best model goes, and the checkpoints below it.</param>
    /// <exception cref="InputException">Impossible settings, or no example.</exception>
    public SupervisedLoop(ISupervisedTask task, SupervisedSettings settings, string folder)
    {
        settings = settings with { LearningRate = settings.LearningRate ?? task.UsualLearningRate };
        Check(settings, task);
        (_task, _settings, _folder) = (task, settings, folder);
        _order = new BatchOrder(task.Examples, task.Length, settings.RowsPerStep, settings.Seed);
        Steps = (int)Math.Min(settings.MaxSteps ?? int.MaxValue, Math.Ceiling(settings.Epochs * _order.BatchesPerEpoch));
        _groups = ParameterGroup.Of(task.Module, settings.LearningRate.Value, settings.WeightDecay);
        _optimizer = new FusedAdamW(_groups, new AdamWSettings { Beta2 = settings.Beta2, MaxGradientNorm = settings.MaxGradientNorm });
        _checkpoints = new(new RunFolder(folder).CheckpointsFolder, task, _optimizer, new RunIdentity(settings.RowsPerStep, settings.Seed, task.Examples), settings.KeepCheckpoints);
    }

    /// <summary>Steps of the whole training.</summary>
    public int Steps { get; }

    /// <summary>Steps done at the newest checkpoint; null where there is none.</summary>
    /// <exception cref="InputException">The newest checkpoint is damaged.</exception>
    public int? StepsDone => _checkpoints.Newest?.Step;

    /// <summary>What is wrong with going on from the newest checkpoint to these steps; null where nothing is.</summary>
    public string? Shortened => StepsDone is { } done && done > Steps ? FormattableString.Invariant($"{Steps} steps are fewer than the {done} that the training has done; it can be made longer, not shorter") : null;

    /// <summary>What a user should know about going on from the newest checkpoint, one line each.</summary>
    public IEnumerable<string> Notes
    {
        get
        {
            foreach (var note in _checkpoints.Notes) yield return note;
            if (_checkpoints.Newest is not { } state || state.Steps == Steps || state.Step == Steps || _settings.Decay == LearningRateDecay.Constant || state.Step < _settings.WarmUpSteps) yield break;
            var (was, goesOn) = (_settings.LearningRateAt(Math.Max(0, state.Step - 1), state.Steps), _settings.LearningRateAt(state.Step, Steps));
            yield return FormattableString.Invariant($"the learning rate falls over {Steps} steps in place of {state.Steps}: it was {was:0.###e+0} in the last step and is {goesOn:0.###e+0} in the next; with decay: constant it stays");
        }
    }

    /// <summary>Whether the held-out examples are due after so many steps.</summary>
    public bool IsMeasured(int step) => step == 0 || step == Steps || step % _settings.EvaluateEvery == 0;

    /// <summary>Trains, from the newest checkpoint if asked to resume.</summary>
    /// <param name="resume">Whether to go on from the newest checkpoint, where there is one.</param>
    /// <param name="log">Told of steps and of what is measured.</param>
    /// <param name="cancellation">Stops after the step at hand and a checkpoint.</param>
    /// <exception cref="InputException">There is a checkpoint and nobody asked to resume, it is damaged or belongs to other settings, or training diverged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; whole steps are saved.</exception>
    public SupervisedResult Run(bool resume, IRunLog log, CancellationToken cancellation)
    {
        if (!resume && _checkpoints.Any) throw new InputException($"{_folder}: a training has been here. Resume it, or remove {new RunFolder(_folder).CheckpointsFolder} to start afresh.");
        if (resume && Shortened is { } problem) throw new InputException(problem);
        var state = (resume ? _checkpoints.LoadNewest() : null) ?? new SupervisedState(0, Steps, 0, new Dictionary<string, double>(), new Dictionary<string, double>());
        state = state with { Steps = Steps };
        var (saved, logged) = (state.Step, state.Step);
        var clock = new Clock();
        try
        {
            if (state.Step == 0) log.HeldOut(new(0, _task.Evaluate()));
            while (state.Step < Steps)
            {
                cancellation.ThrowIfCancellationRequested();
                var step = Step(state.Step, clock);
                state = state with { Step = state.Step + 1 };
                if (IsMeasured(state.Step)) state = Measured(state);
                // The log first: a checkpoint says that what led to it has been written down.
                log.Step(new(state.Step, step));
                if (IsMeasured(state.Step)) log.HeldOut(new(state.Step, state.LastHeldOut));
                logged = state.Step;
                if (state.Step < Steps && (_settings.CheckpointEvery == 0 || state.Step % _settings.CheckpointEvery != 0)) continue;
                _checkpoints.Save(state);
                saved = state.Step;
            }

            return new SupervisedResult(Steps, state.BestStep, state.BestHeldOut, state.LastHeldOut);
        }
        catch (Exception) when (!_isUpdating)
        {
            // Stopped or failed where the weights are those of a whole number of steps: keep them. A step that could not be logged is done again by the training that goes on.
            if (saved < state.Step && logged == state.Step) _checkpoints.Save(state);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _optimizer.Dispose();

    /// <summary>The state with what the held-out examples say; the best model so far goes into the folder.</summary>
    private SupervisedState Measured(SupervisedState before)
    {
        var metrics = _task.Evaluate();
        var after = before with { LastHeldOut = metrics };
        if (before.BestHeldOut.TryGetValue("loss", out var best) && metrics["loss"] >= best) return after;
        _task.SaveBest(_folder);
        return after with { BestStep = before.Step, BestHeldOut = metrics };
    }

    /// <summary>One step: what it measured, by name.</summary>
    private Dictionary<string, double> Step(int step, Clock clock)
    {
        // Until the step is known to be sound, its weights are none to save.
        _isUpdating = true;
        var rate = _settings.LearningRateAt(step, Steps);
        foreach (var group in _groups) group.LearningRate = rate;
        var (epoch, batch) = _order.Batch(step);
        clock.BeginStep();
        var (loss, norm) = Learn(batch, epoch, step);
        if (!double.IsFinite(loss) || !double.IsFinite(norm))
            throw new InputException($"training diverged at step {step + 1}: loss {loss}, norm of the gradient {norm}. Lower the learning rate; the best model so far is in {_folder}.");
        clock.EndStep(batch.Sum(_task.Length));
        _isUpdating = false;
        return new([new("loss", loss), .. _task.TakeMetrics(), new("learning_rate", rate), new("gradient_norm", norm), new("tokens_per_second", clock.TokensPerSecond)]);
    }

    /// <summary>Learns one batch: its loss, a mean over its terms, and the gradient's norm.</summary>
    private (double Loss, double Norm) Learn(int[] batch, int epoch, int step)
    {
        using var scope = NewDisposeScope();
        _optimizer.ClearGradients();
        // Only an adapter's dropout looks at either: its draws depend on the seed and on the step alone.
        _task.Module.train();
        manual_seed((long)(RandomStream.Combine(_settings.Seed, (ulong)step) >> 1));
        using var losses = new DeferredNumbers();
        double terms = Math.Max(1, batch.Sum(_task.Terms));
        var whole = new StepBatch(batch, epoch);
        foreach (var part in _settings.InMicroBatches(batch, _task.Length))
        {
            using var partScope = NewDisposeScope();
            var loss = _task.LossSum(part, whole).Divide(terms);
            loss.Backward();
            losses.Keep(loss);
        }

        _task.Module.eval();
        var norm = _optimizer.Step();
        return (losses.Read().Sum(), norm);
    }

    private static void Check(SupervisedSettings settings, ISupervisedTask task)
    {
        if (task.Examples == 0) throw new InputException("there is no training example: look at the data and at its filters.");
        if (settings.RowsPerStep < 1) throw new InputException($"rows_per_step is {settings.RowsPerStep}: it must be at least 1.");
        if (settings.EvaluateEvery < 1) throw new InputException($"evaluate_every is {settings.EvaluateEvery}: it must be at least 1.");
        if (!(settings.Epochs > 0)) throw new InputException($"epochs is {settings.Epochs}: it must be above 0.");
        if (settings.MaxSteps is < 1) throw new InputException($"max_steps is {settings.MaxSteps}: it must be at least 1.");
    }

    /// <summary>The rate of training. Time spent between steps (evaluations, checkpoints) doesn't count.</summary>
    private sealed class Clock
    {
        private long _stepStart;
        private TimeSpan _training;
        private long _tokens;

        public double TokensPerSecond => _tokens / Math.Max(1e-9, _training.TotalSeconds);

        public void BeginStep() => _stepStart = Stopwatch.GetTimestamp();

        public void EndStep(int tokens)
        {
            _training += Stopwatch.GetElapsedTime(_stepStart);
            _tokens += tokens;
        }
    }
}
