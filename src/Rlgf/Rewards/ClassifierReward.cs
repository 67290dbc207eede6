using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Prompts;
using Rlgf.Tokenizers;
using static TorchSharp.torch;

namespace Rlgf.Rewards;

/// <summary>What a classifier says of a response: the probability of a label, or the output of a reward model; see <see cref="ClassifierHead"/>.</summary>
public sealed class ClassifierReward : ILocalReward
{
    private const int RowsPerBatch = 64;
    private readonly ISequenceClassifier _classifier;
    private readonly ClassifierInput _input;
    private readonly ClassifierHead _head;
    private readonly int _label;

    /// <summary>Makes a reward of a classifier.</summary>
    /// <param name="name">Name for logs and reports.</param>
    /// <param name="classifier">The classifier, frozen.</param>
    /// <param name="tokenizer">The classifier's tokenizer.</param>
    /// <param name="label">The label that the reward is read from; null for a classifier's only one.</param>
    /// <param name="includePrompt">Whether it reads prompt and response, or the response alone.</param>
    /// <param name="transform">What is made of the label's output; null for what <see cref="ClassifierHead.DefaultTransform"/> says.</param>
    /// <exception cref="InputException">The classifier has no such label, or the transform does not fit it.</exception>
    public ClassifierReward(string name, ISequenceClassifier classifier, ITokenizer tokenizer, string? label, bool includePrompt, ClassifierTransform? transform = null)
        : this(name, classifier, new ClassifierInput(tokenizer, includePrompt), label, transform)
    {
    }

    /// <summary>Makes a reward of a classifier that reads responses in a way of its own.</summary>
    /// <param name="name">Name for logs and reports.</param>
    /// <param name="classifier">The classifier, frozen.</param>
    /// <param name="input">What it reads of a response.</param>
    /// <param name="label">The label that the reward is read from; null for a classifier's only one.</param>
    /// <param name="transform">What is made of the label's output; null for what <see cref="ClassifierHead.DefaultTransform"/> says.</param>
    /// <exception cref="InputException">The classifier has no such label, or the transform does not fit it.</exception>
    public ClassifierReward(string name, ISequenceClassifier classifier, ClassifierInput input, string? label, ClassifierTransform? transform = null)
    {
        (Name, _classifier, _input) = (name, classifier, input);
        _head = ClassifierHead.Of(classifier);
        Transform = transform ?? _head.DefaultTransform;
        if ((_head.LabelProblem(label) ?? _head.TransformProblem(Transform)) is { } problem) throw new InputException($"the reward '{name}': {problem}.");
        _label = _head.IndexOf(label);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <summary>The classifier.</summary>
    public ISequenceClassifier Classifier => _classifier;

    /// <summary>What is made of the label's output.</summary>
    public ClassifierTransform Transform { get; }

    /// <inheritdoc/>
    public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken)
    {
        var rows = responses.Select(response => _input.Of(response, _classifier.ContextLength)).ToArray();
        var scores = new RewardScore[rows.Length];
        // Rows of like length together: less padding.
        foreach (var batch in Enumerable.Range(0, rows.Length).OrderBy(row => rows[row].Length).Chunk(RowsPerBatch))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var noGradient = no_grad();
            using var scope = NewDisposeScope();
            var logits = _classifier.Logits([.. batch.Select(row => rows[row])]).cpu().contiguous().data<float>().ToArray();
            var labels = _head.Labels.Count;
            for (var i = 0; i < batch.Length; i++) scores[batch[i]] = new(_head.Score(logits.AsSpan(i * labels, labels), _label, Transform));
        }
        return scores;
    }
}
