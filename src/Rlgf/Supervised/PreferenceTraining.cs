using Rlgf.Base;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Models.Tensors;
using Rlgf.Rollouts;
using Rlgf.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Supervised;

/// <summary>Training of a language model on pairs of answers of which one was preferred, against the model that it starts from: DPO and its family; see <see cref="PreferenceLoss"/>.</summary>
public static class PreferenceTraining
{
    /// <summary>Trains a model. The folder then holds the one with the lowest held-out loss; the model itself ends with the weights of the last step.</summary>
    /// <param name="model">The model, trained in place; as it is now it is the reference.</param>
    /// <param name="training">Pairs to learn.</param>
    /// <param name="heldOut">Pairs to evaluate on.</param>
    /// <param name="loss">What is made of a pair.</param>
    /// <param name="settings">How to train; a row is a pair.</param>
    /// <param name="folder">Where the best model, the checkpoints and the reference's log-probabilities go.</param>
    /// <param name="resume">Go on from the folder's newest checkpoint.</param>
    /// <param name="log">Told of steps and of what is measured; <see cref="RunLogs"/> are several; null for nobody.</param>
    /// <param name="cancellation">Stops after the step at hand and a checkpoint.</param>
    /// <exception cref="InputException">Impossible settings or data, a checkpoint that doesn't fit, or training diverged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; a checkpoint was written, where a step was done.</exception>
    public static SupervisedResult Run(
        ILanguageModel model,
        IReadOnlyList<PreferenceRows> training,
        IReadOnlyList<PreferenceRows> heldOut,
        PreferenceLossSettings loss,
        SupervisedSettings settings,
        string folder,
        bool resume = false,
        IRunLog? log = null,
        CancellationToken cancellation = default)
    {
        using var loop = Prepare(model, training, heldOut, loss, settings, folder, resume, cancellation);
        return loop.Run(resume, log ?? RunLogs.None, cancellation);
    }

    /// <summary>The learning rate where none is said: that of Rafailov et al. 2023, and with an adapter ten times as much, as between the published recipes of Zephyr for whole weights and for an adapter.</summary>
    internal static double UsualLearningRate(bool hasAdapter) => hasAdapter ? 1e-5 : 1e-6;

    /// <summary>A training that has not begun but for the reference's part; as <see cref="Run"/>.</summary>
    internal static SupervisedLoop Prepare(
        ILanguageModel model, IReadOnlyList<PreferenceRows> training, IReadOnlyList<PreferenceRows> heldOut, PreferenceLossSettings loss, SupervisedSettings settings, string folder, bool goesOn,
        CancellationToken cancellation)
    {
        if (training.Count == 0) throw new InputException("there is no pair to learn from: look at the data and at its filters.");
        if (heldOut.Count == 0) throw new InputException("there is no held-out pair: the best model is chosen by the held-out loss.");
        if (settings.RecomputeActivations) model.RecomputesActivations = true;
        PreferenceRows[] all = [.. training, .. heldOut];
        var reference = PreferenceReference.Of(folder, goesOn, all, () => LogProbs(model, all, RowsAtOnce(settings), cancellation));
        return new(new Task(model, training, heldOut, reference[..training.Count], reference[training.Count..], loss, settings), settings, folder);
    }

    /// <summary>What a model makes of pairs.</summary>
    /// <param name="model">π.</param>
    /// <param name="pairs">The pairs.</param>
    /// <param name="pairsAtOnce">How many are computed together.</param>
    /// <param name="cancellation">Stops between two of these.</param>
    /// <returns>One for each pair, in their order.</returns>
    public static PairLogProbs[] LogProbs(ILanguageModel model, IReadOnlyList<PreferenceRows> pairs, int pairsAtOnce = 16, CancellationToken cancellation = default)
    {
        using var gradients = no_grad();
        var results = new PairLogProbs[pairs.Count];
        foreach (var batch in Enumerable.Range(0, pairs.Count).OrderBy(pair => pairs[pair].Length).Chunk(pairsAtOnce))
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var (chosen, rejected) = LogProbs(model, Array.ConvertAll(batch, pair => pairs[pair]), positionsPerPart: null);
            var (ofChosen, ofRejected) = (chosen.HostArray<float>(), rejected.HostArray<float>());
            for (var i = 0; i < batch.Length; i++) results[batch[i]] = new(ofChosen[i], ofRejected[i]);
        }

        return results;
    }

    /// <summary>
    /// Metrics of pairs: <c>loss</c>; <c>accuracy</c>, how often the chosen answer has the higher implicit reward β (log π − log π_ref), equal ones being no hit; <c>margin</c>, the mean difference of the two rewards;
    /// <c>chosen_reward</c>, <c>rejected_reward</c>, <c>chosen_log_prob</c> and <c>rejected_log_prob</c>, means over pairs, the latter two sums over an answer's tokens.
    /// </summary>
    /// <param name="pairs">The pairs.</param>
    /// <param name="policy">What the policy makes of them.</param>
    /// <param name="reference">What the reference makes of them.</param>
    /// <param name="settings">The loss.</param>
    public static IReadOnlyDictionary<string, double> Metrics(IReadOnlyList<PreferenceRows> pairs, IReadOnlyList<PairLogProbs> policy, IReadOnlyList<PairLogProbs> reference, PreferenceLossSettings settings)
    {
        using var scope = NewDisposeScope();
        Tensor Of(Func<int, double> number) => tensor(Enumerable.Range(0, pairs.Count).Select(number).ToArray(), device: CPU);
        Tensor chosen = Of(pair => policy[pair].Chosen - reference[pair].Chosen), rejected = Of(pair => policy[pair].Rejected - reference[pair].Rejected);
        Tensor chosenTokens = Of(pair => pairs[pair].Chosen.Response.Length), rejectedTokens = Of(pair => pairs[pair].Rejected.Response.Length);
        var loss = PreferenceLoss.OfPairs(chosen, rejected, chosenTokens, rejectedTokens, settings).mean().item<double>();
        if (settings.SupervisedCoefficient != 0) loss -= settings.SupervisedCoefficient * policy.Sum(pair => pair.Chosen) / pairs.Sum(pair => (double)pair.Chosen.Response.Length);
        var sums = Sums(chosen, rejected, Of(pair => policy[pair].Chosen), Of(pair => policy[pair].Rejected), settings.Beta);
        return new Dictionary<string, double>([new("loss", loss), .. Means(sums.HostArray<double>(), pairs.Count)]);
    }

    /// <summary>Sums over pairs of what is told beside the loss: [5] float64, as <see cref="Means"/> names them.</summary>
    private static Tensor Sums(Tensor chosen, Tensor rejected, Tensor chosenLogProbs, Tensor rejectedLogProbs, double beta)
    {
        using var scope = NewDisposeScope();
        Tensor[] sums = [(chosen > rejected).sum(), chosen.sum().Multiply(beta), rejected.sum().Multiply(beta), chosenLogProbs.sum(), rejectedLogProbs.sum()];
        return stack(sums.Select(sum => sum.to(ScalarType.Float64))).MoveToOuterDisposeScope();
    }

    private static IEnumerable<KeyValuePair<string, double>> Means(double[] sums, int pairs) =>
    [
        new("accuracy", sums[0] / pairs), new("margin", (sums[1] - sums[2]) / pairs), new("chosen_reward", sums[1] / pairs), new("rejected_reward", sums[2] / pairs),
        new("chosen_log_prob", sums[3] / pairs), new("rejected_log_prob", sums[4] / pairs),
    ];

    /// <summary>Σ log π over the answers' tokens: [P] and [P] float32, chosen and rejected, in one pass.</summary>
    private static (Tensor Chosen, Tensor Rejected) LogProbs(ILanguageModel model, PreferenceRows[] pairs, int? positionsPerPart)
    {
        var sums = TokenLogProbs.OfRows(model, [.. pairs.Select(pair => pair.Chosen), .. pairs.Select(pair => pair.Rejected)], positionsPerPart).sum(1).reshape(2, pairs.Length);
        return (sums[0], sums[1]);
    }

    private static int RowsAtOnce(SupervisedSettings settings) => settings.RowsPerMicroBatch > 0 ? settings.RowsPerMicroBatch : settings.RowsPerStep;

    /// <summary>The pairs as examples of the loop.</summary>
    internal sealed class Task(
        ILanguageModel model, IReadOnlyList<PreferenceRows> training, IReadOnlyList<PreferenceRows> heldOut, PairLogProbs[] reference, PairLogProbs[] heldOutReference, PreferenceLossSettings loss,
        SupervisedSettings settings) : ISupervisedTask
    {
        private readonly List<Tensor> _told = [];
        private int _pairsTold;

        public nn.Module Module => model.Module;

        public double UsualLearningRate => PreferenceTraining.UsualLearningRate(ISupervisedTask.TrainsAdapter(model.Module));

        public int Examples => training.Count;

        public int Length(int example) => training[example].Length;

        public int Terms(int example) => 1;

        public Tensor LossSum(ReadOnlySpan<int> examples, StepBatch step)
        {
            using var scope = NewDisposeScope();
            var numbers = examples.ToArray();
            var pairs = Array.ConvertAll(numbers, example => training[example]);
            var (chosenLogProbs, rejectedLogProbs) = PreferenceTraining.LogProbs(model, pairs, settings.PositionsPerPart);
            Tensor Of(Func<int, double> number) => tensor(Array.ConvertAll(numbers, example => (float)number(example)), device: chosenLogProbs.device);
            var (chosen, rejected) = (chosenLogProbs - Of(example => reference[example].Chosen), rejectedLogProbs - Of(example => reference[example].Rejected));
            var sum = PreferenceLoss.OfPairs(
                chosen, rejected, Of(example => training[example].Chosen.Response.Length), Of(example => training[example].Rejected.Response.Length), loss).sum();
            if (loss.SupervisedCoefficient != 0)
            {
                // The loop divides by the step's pairs; this term is a mean over the step's tokens.
                var tokens = step.Examples.Sum(example => (double)training[example].Chosen.Response.Length);
                sum = sum.Add(chosenLogProbs.sum().Multiply(-loss.SupervisedCoefficient * step.Examples.Length / tokens));
            }

            _told.Add(Sums(chosen.detach(), rejected.detach(), chosenLogProbs.detach(), rejectedLogProbs.detach(), loss.Beta).DetachFromDisposeScope());
            _pairsTold += pairs.Length;
            return sum.MoveToOuterDisposeScope();
        }

        public IReadOnlyDictionary<string, double> TakeMetrics()
        {
            // Read once a step: each look at a number waits for all that a GPU has begun.
            using var scope = NewDisposeScope();
            var means = new Dictionary<string, double>(Means(stack(_told).sum(dim: 0).HostArray<double>(), _pairsTold));
            foreach (var sums in _told) sums.Dispose();
            _told.Clear();
            _pairsTold = 0;
            return means;
        }

        public IReadOnlyDictionary<string, double> Evaluate() => Metrics(heldOut, PreferenceTraining.LogProbs(model, heldOut, RowsAtOnce(settings)), heldOutReference, loss);

        public void Save(string folder) => LanguageModelFolder.Save(model, folder);

        public void Load(string folder) => LanguageModelFolder.LoadWeights(model, folder);
    }
}
