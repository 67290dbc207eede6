using System.Diagnostics;
using Rlgf.Base;
using Rlgf.Models.Optimizers;
using Rlgf.Models.Tensors;
using static TorchSharp.torch;

namespace Rlgf.Supervised;

/// <summary>
/// The training loop of language models and classifiers: steps in a seeded order, evaluations, the best model by held-out loss in the folder, checkpoints to resume from.
/// What a step does is a pure function of the settings, the step's number and the weights, so a resumed training equals one that was never stopped.
/// </summary>
internal static class SupervisedLoop
{
    public static SupervisedResult Run(
        ISupervisedTask task, SupervisedSettings settings, string folder, bool resume, IProgress<SupervisedProgress>? progress, CancellationToken cancellation)
    {
        Check(settings, task);
        var order = new BatchOrder(task.Examples, task.Length, settings.RowsPerStep, settings.Seed);
        var steps = (int)Math.Min(settings.MaxSteps ?? int.MaxValue, Math.Ceiling(settings.Epochs * order.BatchesPerEpoch));
        var groups = ParameterGroup.Of(task.Module, settings.LearningRate, settings.WeightDecay);
        using var optimizer = new FusedAdamW(groups, new AdamWSettings { Beta2 = settings.Beta2, MaxGradientNorm = settings.MaxGradientNorm });
        var checkpoints = new SupervisedCheckpoints(folder, task, optimizer, new RunIdentity(steps, settings.RowsPerStep, settings.Seed, task.Examples));
        var state = checkpoints.Begin(resume);
        progress?.Report(new SupervisedProgress(state.Step, steps, double.NaN, 0, 0, 0, TimeSpan.Zero, null) { IsStart = true, Notes = checkpoints.Notes });
        var clock = new Clock(state.Step, steps);

        if (state.Step == 0) state = Evaluate(state);
        while (state.Step < steps)
        {
            if (cancellation.IsCancellationRequested)
            {
                checkpoints.Save(state);
                cancellation.ThrowIfCancellationRequested();
            }

            var rate = settings.LearningRateAt(state.Step, steps);
            foreach (var group in groups) group.LearningRate = rate;
            var (epoch, batch) = order.Batch(state.Step);
            clock.BeginStep();
            var (loss, norm) = Step(task, settings, optimizer, batch, epoch, state.Step);
            if (!double.IsFinite(loss) || !double.IsFinite(norm))
                throw new InputException($"training diverged at step {state.Step + 1}: loss {loss}, norm of the gradient {norm}. Lower the learning rate; the best model so far is in {folder}.");
            clock.EndStep(batch.Sum(task.Length));
            state = state with { Step = state.Step + 1 };

            var last = state.Step == steps;
            var measured = last || state.Step % settings.EvaluateEvery == 0;
            if (measured) state = Evaluate(state);
            if (settings.CheckpointEvery > 0 && state.Step % settings.CheckpointEvery == 0 && !last) checkpoints.Save(state);
            progress?.Report(new SupervisedProgress(state.Step, steps, loss, rate, norm, clock.TokensPerSecond, clock.Remaining(state.Step), measured ? state.LastHeldOut : null)
            {
                Result = last ? ResultOf(state) : null,
            });
        }

        checkpoints.Finish();
        return ResultOf(state);

        SupervisedResult ResultOf(SupervisedState ended) => new(steps, ended.BestStep, ended.BestHeldOut, ended.LastHeldOut);

        SupervisedState Evaluate(SupervisedState before)
        {
            var metrics = task.Evaluate();
            var after = before with { LastHeldOut = metrics };
            if (before.Step == 0)
            {
                progress?.Report(new SupervisedProgress(0, steps, double.NaN, 0, 0, 0, TimeSpan.Zero, metrics));
                return after;
            }

            if (before.BestHeldOut.TryGetValue("loss", out var best) && metrics["loss"] >= best) return after;
            task.Save(folder);
            return after with { BestStep = before.Step, BestHeldOut = metrics };
        }
    }

    /// <summary>Learns one batch: its loss, a mean over its terms, and the gradient's norm.</summary>
    private static (double Loss, double Norm) Step(ISupervisedTask task, SupervisedSettings settings, FusedAdamW optimizer, int[] batch, int epoch, int step)
    {
        using var scope = NewDisposeScope();
        optimizer.ClearGradients();
        // Only an adapter's dropout looks at either: its draws depend on the seed and on the step alone.
        task.Module.train();
        manual_seed((long)(RandomStream.Combine(settings.Seed, (ulong)step) >> 1));
        double total = 0, terms = Math.Max(1, batch.Sum(task.Terms));
        var size = settings.RowsPerMicroBatch > 0 ? settings.RowsPerMicroBatch : batch.Length;
        for (var first = 0; first < batch.Length; first += size)
        {
            using var partScope = NewDisposeScope();
            var loss = task.LossSum(batch.AsSpan(first, Math.Min(size, batch.Length - first)), epoch).Divide(terms);
            loss.backward();
            total += loss.item<float>();
        }

        task.Module.eval();
        return (total, optimizer.Step());
    }

    private static void Check(SupervisedSettings settings, ISupervisedTask task)
    {
        if (task.Examples == 0) throw new InputException("there is no training example: look at the data and at its filters.");
        if (settings.RowsPerStep < 1) throw new InputException($"rows_per_step is {settings.RowsPerStep}: it must be at least 1.");
        if (settings.EvaluateEvery < 1) throw new InputException($"evaluate_every is {settings.EvaluateEvery}: it must be at least 1.");
        if (!(settings.Epochs > 0)) throw new InputException($"epochs is {settings.Epochs}: it must be above 0.");
        if (settings.MaxSteps is < 1) throw new InputException($"max_steps is {settings.MaxSteps}: it must be at least 1.");
    }

    /// <summary>Rate and time left. Time spent between steps (evaluations, checkpoints) counts for the time left only.</summary>
    private sealed class Clock(int firstStep, int steps)
    {
        private readonly long _start = Stopwatch.GetTimestamp();
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

        public TimeSpan Remaining(int step) => Stopwatch.GetElapsedTime(_start) / Math.Max(1, step - firstStep) * (steps - step);
    }
}
