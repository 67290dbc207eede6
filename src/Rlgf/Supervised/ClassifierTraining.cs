using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Runs;
using Rlgf.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Supervised;

/// <summary>A text and what it is.</summary>
/// <param name="Tokens">Token ids, at least one; without those that a tokenizer puts around every text, where one is given to the training.</param>
/// <param name="Label">Index of the label.</param>
public readonly record struct LabelledText(int[] Tokens, int Label);

/// <summary>Which part of a text a classifier learns from.</summary>
/// <param name="MinTokens">The shortest window.</param>
/// <param name="MaxTokens">The longest window; the length is drawn uniformly between the two.</param>
/// <remarks>A reward reads short continuations, not whole reviews: a classifier that only saw the latter judges the former badly.</remarks>
public sealed record TextWindow(int MinTokens, int MaxTokens);

/// <summary>Training of a sequence classifier: cross-entropy of the labels.</summary>
public static class ClassifierTraining
{
    /// <summary>Keeps the windows' draws apart from others of the same seed ("windows" in ASCII).</summary>
    private const ulong WindowPurpose = 0x77696E646F7773;

    /// <summary>Bins of the calibration error.</summary>
    private const int Bins = 15;

    /// <summary>Trains a classifier. The folder then holds the one with the lowest held-out loss; the classifier itself ends with the weights of the last step.</summary>
    /// <param name="classifier">The classifier, trained in place.</param>
    /// <param name="training">Texts to learn.</param>
    /// <param name="heldOut">Texts to evaluate on.</param>
    /// <param name="window">The part of a text that is read, drawn anew in each epoch; null for its beginning, as much as the context holds.</param>
    /// <param name="settings">How to train.</param>
    /// <param name="folder">Where the best classifier and the checkpoints go.</param>
    /// <param name="tokenizer">Puts its special tokens around the part that is read, beyond the window's limits, as around every text; null for none.</param>
    /// <param name="resume">Go on from the folder's newest checkpoint.</param>
    /// <param name="log">Told of steps and of what is measured; <see cref="RunLogs"/> are several; null for nobody.</param>
    /// <param name="cancellation">Stops after the step at hand and a checkpoint.</param>
    /// <exception cref="InputException">Impossible settings or data, a checkpoint that doesn't fit, or training diverged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; a checkpoint was written.</exception>
    public static SupervisedResult Run(
        ISequenceClassifier classifier,
        IReadOnlyList<LabelledText> training,
        IReadOnlyList<LabelledText> heldOut,
        TextWindow? window,
        SupervisedSettings settings,
        string folder,
        ITokenizer? tokenizer = null,
        bool resume = false,
        IRunLog? log = null,
        CancellationToken cancellation = default)
    {
        using var loop = Prepare(classifier, training, heldOut, window, settings, folder, tokenizer);
        return loop.Run(resume, log ?? RunLogs.None, cancellation);
    }

    /// <summary>A training that has not begun; as <see cref="Run"/>.</summary>
    internal static SupervisedLoop Prepare(
        ISequenceClassifier classifier, IReadOnlyList<LabelledText> training, IReadOnlyList<LabelledText> heldOut, TextWindow? window, SupervisedSettings settings, string folder, ITokenizer? tokenizer)
    {
        if (heldOut.Count == 0) throw new InputException("there is no held-out example: the best classifier is chosen by the held-out loss.");
        var parts = new Parts(window, tokenizer, classifier.ContextLength);
        if (window is { } part && (part.MinTokens < 1 || part.MaxTokens < part.MinTokens || part.MaxTokens > parts.Room))
            throw new InputException($"the window of {part.MinTokens} to {part.MaxTokens} tokens is impossible: it needs 1 to {parts.Room}, the classifier's context without special tokens.");
        Check(training, classifier);
        Check(heldOut, classifier);
        return new(new Task(classifier, training, heldOut, parts, settings), settings, folder);
    }

    /// <summary>
    /// Metrics of a classifier: <c>loss</c> (mean cross-entropy), <c>accuracy</c>, and <c>calibration_error</c>, the mean distance between the probability of the chosen label and
    /// how often it is right, over 15 bins of that probability (Guo et al., "On calibration of modern neural networks", 2017, equation 3).
    /// </summary>
    public static IReadOnlyDictionary<string, double> Evaluate(
        ISequenceClassifier classifier, IReadOnlyList<LabelledText> texts, TextWindow? window = null, ITokenizer? tokenizer = null, ulong seed = 0, int rowsPerBatch = 64, CancellationToken cancellation = default)
    {
        var parts = new Parts(window, tokenizer, classifier.ContextLength);
        using var gradients = no_grad();
        double loss = 0;
        var right = new double[Bins];
        var confidence = new double[Bins];
        foreach (var batch in texts.Select((text, index) => text with { Tokens = parts.Of(text.Tokens, seed, ulong.MaxValue, (ulong)index) })
            .OrderBy(text => text.Tokens.Length).Chunk(rowsPerBatch))
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var logProbs = nn.functional.log_softmax(classifier.Logits([.. batch.Select(text => text.Tokens)]), 1).cpu().data<float>().ToArray();
            var labels = classifier.Labels.Count;
            for (var b = 0; b < batch.Length; b++)
            {
                var row = logProbs.AsSpan(b * labels, labels);
                var chosen = 0;
                for (var label = 1; label < labels; label++) if (row[label] > row[chosen]) chosen = label;
                var probability = Math.Exp(row[chosen]);
                var bin = Math.Min(Bins - 1, (int)(probability * Bins));
                loss -= row[batch[b].Label];
                confidence[bin] += probability;
                if (chosen == batch[b].Label) right[bin]++;
            }
        }

        return new Dictionary<string, double>
        {
            ["loss"] = loss / texts.Count,
            ["accuracy"] = right.Sum() / texts.Count,
            // |right/n − confidence/n| weighted by n/N: the bin's count n cancels.
            ["calibration_error"] = right.Zip(confidence, (hits, sum) => Math.Abs(hits - sum)).Sum() / texts.Count,
        };
    }

    private static void Check(IReadOnlyList<LabelledText> texts, ISequenceClassifier classifier)
    {
        if (classifier.Labels.Count < 2) throw new InputException($"the classifier has {classifier.Labels.Count} label: training needs at least 2.");
        for (var i = 0; i < texts.Count; i++)
        {
            if (texts[i].Tokens.Length == 0) throw new InputException($"text {i + 1} of {texts.Count} holds no token: remove it.");
            if (texts[i].Label < 0 || texts[i].Label >= classifier.Labels.Count)
                throw new InputException($"text {i + 1} of {texts.Count} has the label {texts[i].Label}: the classifier has the labels 0 to {classifier.Labels.Count - 1}.");
        }
    }

    /// <summary>What is read of texts.</summary>
    private sealed record Parts(TextWindow? Window, ITokenizer? Tokenizer, int Context)
    {
        /// <summary>The most tokens of a text itself.</summary>
        public int Room { get; } = Context - (Tokenizer?.AddSpecialTokens([]).Length ?? 0);

        /// <summary>The most tokens of a text of so many that are read, special ones not counted.</summary>
        public int LengthOf(int tokens) => Math.Min(tokens, Window?.MaxTokens ?? Room);

        /// <summary>The part of a text that is read: a pure function of (seed, epoch, index).</summary>
        public int[] Of(int[] tokens, ulong seed, ulong epoch, ulong index)
        {
            var part = Cut(tokens, seed, epoch, index);
            return Tokenizer is null ? part : Tokenizer.AddSpecialTokens(part);
        }

        private int[] Cut(int[] tokens, ulong seed, ulong epoch, ulong index)
        {
            if (Window is null) return tokens.Length <= Room ? tokens : tokens[..Room];
            var random = new RandomStream(seed, RandomStream.Combine(WindowPurpose, epoch, index));
            var length = Window.MinTokens + random.NextInt32(Window.MaxTokens - Window.MinTokens + 1);
            if (tokens.Length <= length) return tokens;
            var start = random.NextInt32(tokens.Length - length + 1);
            return tokens[start..(start + length)];
        }
    }

    private sealed class Task(ISequenceClassifier classifier, IReadOnlyList<LabelledText> training, IReadOnlyList<LabelledText> heldOut, Parts parts, SupervisedSettings settings)
        : ISupervisedTask
    {
        public nn.Module Module => classifier.Module;

        public int Examples => training.Count;

        public int Length(int example) => parts.LengthOf(training[example].Tokens.Length);

        public int Terms(int example) => 1;

        public Tensor LossSum(ReadOnlySpan<int> examples, StepBatch step)
        {
            using var scope = NewDisposeScope();
            var rows = new int[examples.Length][];
            var labels = new long[examples.Length];
            for (var b = 0; b < rows.Length; b++)
            {
                var text = training[examples[b]];
                rows[b] = parts.Of(text.Tokens, settings.Seed, (ulong)step.Epoch, (ulong)examples[b]);
                labels[b] = text.Label;
            }

            var logits = classifier.Logits(rows);
            return nn.functional.cross_entropy(logits, tensor(labels, device: logits.device), reduction: nn.Reduction.Sum).MoveToOuterDisposeScope();
        }

        public IReadOnlyDictionary<string, double> Evaluate() =>
            ClassifierTraining.Evaluate(classifier, heldOut, parts.Window, parts.Tokenizer, settings.Seed);

        public void Save(string folder) => SequenceClassifierFolder.Save(classifier, folder);

        public void Load(string folder) => SequenceClassifierFolder.LoadWeights(classifier, folder);
    }
}
