using Rlgf.Base;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Supervised;

/// <summary>Two answers to a prompt of which one was preferred, as a reward model reads them.</summary>
/// <param name="Chosen">Token ids of prompt and preferred answer, at least one.</param>
/// <param name="Rejected">Token ids of prompt and other answer, at least one.</param>
/// <param name="Margin">By how much the score of the first should be ahead; 0 where nothing says so.</param>
public readonly record struct PairOfAnswers(int[] Chosen, int[] Rejected, double Margin = 0);

/// <summary>How a reward model is trained, beside <see cref="SupervisedSettings"/>.</summary>
public sealed record RewardModelSettings
{
    /// <summary>Coefficient of the term that keeps the two scores' sum near 0, so that scores of different prompts can be compared; 0 for none, 0.01 is usual.</summary>
    [Limits(AtLeast = 0, AtMost = 1e3)]
    public double CenterRewardsCoefficient { get; init; }

    /// <summary>Of a model with an adapter: whether the folder gets whole weights, the adapter's added to those that it is for, so that every library reads it; false: the adapter alone, which shares its base's memory with a policy on the same base.</summary>
    public bool MergeAdapter { get; init; } = true;
}

/// <summary>Training of a reward model, a classifier with one output, on pairs of answers; see <see cref="BradleyTerryLoss"/>.</summary>
public static class RewardModelTraining
{
    /// <summary>Bins of the calibration error.</summary>
    internal const int Bins = 10;

    /// <summary>Trains a reward model. The folder then holds the one with the lowest held-out loss; the model itself ends with the weights of the last step.</summary>
    /// <param name="model">A classifier with one label, trained in place.</param>
    /// <param name="training">Pairs to learn.</param>
    /// <param name="heldOut">Pairs to evaluate on.</param>
    /// <param name="reward">How to train.</param>
    /// <param name="settings">How to train; a row is a pair.</param>
    /// <param name="folder">Where the best model and the checkpoints go.</param>
    /// <param name="resume">Go on from the folder's newest checkpoint.</param>
    /// <param name="log">Told of steps and of what is measured; <see cref="RunLogs"/> are several; null for nobody.</param>
    /// <param name="cancellation">Stops after the step at hand and a checkpoint.</param>
    /// <exception cref="InputException">Impossible settings or data, a checkpoint that doesn't fit, or training diverged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; a checkpoint was written.</exception>
    public static SupervisedResult Run(
        ISequenceClassifier model,
        IReadOnlyList<PairOfAnswers> training,
        IReadOnlyList<PairOfAnswers> heldOut,
        RewardModelSettings reward,
        SupervisedSettings settings,
        string folder,
        bool resume = false,
        IRunLog? log = null,
        CancellationToken cancellation = default)
    {
        using var loop = Prepare(model, training, heldOut, reward, settings, folder);
        return loop.Run(resume, log ?? RunLogs.None, cancellation);
    }

    /// <summary>The learning rate where none is said: that of TRL's example of a reward model, and of Ouyang et al. 2022 (9e-6) nearly; with an adapter ten times as much, as there.</summary>
    internal static double UsualLearningRate(bool hasAdapter) => hasAdapter ? 1e-4 : 1e-5;

    /// <summary>A training that has not begun; as <see cref="Run"/>.</summary>
    internal static SupervisedLoop Prepare(
        ISequenceClassifier model, IReadOnlyList<PairOfAnswers> training, IReadOnlyList<PairOfAnswers> heldOut, RewardModelSettings reward, SupervisedSettings settings, string folder)
    {
        if (heldOut.Count == 0) throw new InputException("there is no held-out pair: the best reward model is chosen by the held-out loss.");
        if (model.Labels.Count != 1) throw new InputException($"the classifier has {model.Labels.Count} labels: a reward model has one output.");
        Check(training, model);
        Check(heldOut, model);
        return new(new Task(model, training, heldOut, reward, settings), settings, folder);
    }

    /// <summary>Scores of rows: the output as it is.</summary>
    /// <param name="model">A classifier with one label.</param>
    /// <param name="rows">Rows of token ids.</param>
    /// <param name="rowsPerBatch">Rows at once.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>A score for each row, in their order.</returns>
    public static double[] Scores(ISequenceClassifier model, IReadOnlyList<int[]> rows, int rowsPerBatch = 64, CancellationToken cancellation = default)
    {
        using var gradients = no_grad();
        var scores = new double[rows.Count];
        foreach (var batch in Enumerable.Range(0, rows.Count).OrderBy(row => rows[row].Length).Chunk(rowsPerBatch))
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var outputs = model.Logits([.. batch.Select(row => rows[row])]).cpu().contiguous().data<float>().ToArray();
            for (var i = 0; i < batch.Length; i++) scores[batch[i]] = outputs[i];
        }

        return scores;
    }

    /// <summary>
    /// Metrics of scores: <c>loss</c>, <c>accuracy</c> (how often the chosen answer has the higher score; equal scores are no hit), <c>margin</c> (mean difference of the two), <c>calibration_error</c>
    /// (the mean distance between the probability that the scores give to the answer they prefer, σ of their difference, and how often that was the chosen one; see <see cref="PairCalibration"/>).
    /// </summary>
    /// <param name="chosen">Scores of the preferred answers.</param>
    /// <param name="rejected">Scores of the others, pair by pair.</param>
    /// <param name="margins">The pairs' margins.</param>
    /// <param name="centring">Coefficient of the centring term.</param>
    public static IReadOnlyDictionary<string, double> Metrics(IReadOnlyList<double> chosen, IReadOnlyList<double> rejected, IReadOnlyList<double> margins, double centring)
    {
        using var scope = NewDisposeScope();
        var loss = BradleyTerryLoss.OfPairs(tensor(chosen.ToArray(), device: CPU), tensor(rejected.ToArray(), device: CPU), tensor(margins.ToArray(), device: CPU), centring).mean().item<double>();
        return new Dictionary<string, double>
        {
            ["loss"] = loss,
            ["accuracy"] = chosen.Zip(rejected, (c, r) => c > r ? 1.0 : 0).Average(),
            ["margin"] = chosen.Zip(rejected, (c, r) => c - r).Average(),
            ["calibration_error"] = PairCalibration.Of(chosen, rejected, Bins).Error,
        };
    }

    private static void Check(IReadOnlyList<PairOfAnswers> pairs, ISequenceClassifier model)
    {
        for (var i = 0; i < pairs.Count; i++)
        {
            foreach (var row in (int[][])[pairs[i].Chosen, pairs[i].Rejected])
            {
                if (row.Length == 0) throw new InputException($"pair {i + 1} of {pairs.Count} has an answer without a token: remove it.");
                if (row.Length > model.ContextLength) throw new InputException($"pair {i + 1} of {pairs.Count} has {row.Length} tokens, and the model reads {model.ContextLength}: shorten it.");
            }

            if (!double.IsFinite(pairs[i].Margin)) throw new InputException(FormattableString.Invariant($"pair {i + 1} of {pairs.Count} has the margin {pairs[i].Margin}: a margin is a finite number."));
        }
    }

    private sealed class Task(ISequenceClassifier model, IReadOnlyList<PairOfAnswers> training, IReadOnlyList<PairOfAnswers> heldOut, RewardModelSettings reward, SupervisedSettings settings) : ISupervisedTask
    {
        public nn.Module Module => model.Module;

        public double UsualLearningRate => RewardModelTraining.UsualLearningRate(ISupervisedTask.TrainsAdapter(model.Module));

        public int Examples => training.Count;

        public int Length(int example) => training[example].Chosen.Length + training[example].Rejected.Length;

        public int Terms(int example) => 1;

        public Tensor LossSum(ReadOnlySpan<int> examples, StepBatch step)
        {
            using var scope = NewDisposeScope();
            var pairs = new PairOfAnswers[examples.Length];
            for (var b = 0; b < pairs.Length; b++) pairs[b] = training[examples[b]];
            // Both answers in one pass: chosen, then rejected.
            var scores = model.Logits([.. pairs.Select(pair => pair.Chosen), .. pairs.Select(pair => pair.Rejected)]).reshape(2, pairs.Length);
            var margins = Array.Exists(pairs, pair => pair.Margin != 0) ? tensor(Array.ConvertAll(pairs, pair => (float)pair.Margin), device: scores.device) : null;
            return BradleyTerryLoss.OfPairs(scores[0], scores[1], margins, reward.CenterRewardsCoefficient).sum().MoveToOuterDisposeScope();
        }

        public IReadOnlyDictionary<string, double> Evaluate()
        {
            var scores = Scores(model, [.. heldOut.Select(pair => pair.Chosen), .. heldOut.Select(pair => pair.Rejected)], 2 * (settings.RowsPerMicroBatch > 0 ? settings.RowsPerMicroBatch : settings.RowsPerStep));
            return Metrics(scores[..heldOut.Count], scores[heldOut.Count..], [.. heldOut.Select(pair => pair.Margin)], reward.CenterRewardsCoefficient);
        }

        public void Save(string folder) => SequenceClassifierFolder.Save(model, folder);

        public void SaveBest(string folder) => SequenceClassifierFolder.Save(model, folder, mergeAdapter: reward.MergeAdapter);

        public void Load(string folder) => SequenceClassifierFolder.LoadWeights(model, folder);
    }
}
