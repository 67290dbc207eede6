using Rlgf.Models;
using Rlgf.Text;
using Rlgf.Text.Tokenization;
using static TorchSharp.torch;

namespace Rlgf.Rewards;

/// <summary>The probability that a classifier gives to one label.</summary>
public sealed class ClassifierReward : IReward
{
    private const int RowsPerBatch = 64;
    private readonly ISequenceClassifier _classifier;
    private readonly ITokenizer _tokenizer;
    private readonly int _label;
    private readonly bool _includePrompt;

    /// <summary>Makes a reward of a classifier.</summary>
    /// <param name="name">Name for logs and reports.</param>
    /// <param name="classifier">The classifier, frozen.</param>
    /// <param name="tokenizer">The classifier's tokenizer.</param>
    /// <param name="label">The label whose probability is the reward.</param>
    /// <param name="includePrompt">Whether it reads prompt and response, or the response alone.</param>
    /// <exception cref="InputException">The classifier has no such label.</exception>
    public ClassifierReward(string name, ISequenceClassifier classifier, ITokenizer tokenizer, string label, bool includePrompt)
    {
        (Name, _classifier, _tokenizer, _includePrompt) = (name, classifier, tokenizer, includePrompt);
        _label = classifier.Labels.ToList().IndexOf(label);
        if (_label < 0) throw new InputException($"The classifier of the reward '{name}' has no label '{label}': it has {string.Join(", ", classifier.Labels)}.");
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <summary>The classifier.</summary>
    public ISequenceClassifier Classifier => _classifier;

    /// <inheritdoc/>
    public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken)
    {
        var rows = responses.Select(Read).ToArray();
        var scores = new RewardScore[rows.Length];
        // Rows of like length together: less padding.
        foreach (var batch in Enumerable.Range(0, rows.Length).OrderBy(row => rows[row].Length).Chunk(RowsPerBatch))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var noGradient = no_grad();
            using var scope = NewDisposeScope();
            var probabilities = _classifier.Logits([.. batch.Select(row => rows[row])]).softmax(-1).select(1, _label).cpu().data<float>().ToArray();
            for (var i = 0; i < batch.Length; i++) scores[batch[i]] = new(probabilities[i]);
        }
        return scores;
    }

    /// <summary>The tokens that the classifier reads: the last ones where the text is longer than it can take, between its special tokens; an empty text counts as one end token.</summary>
    private int[] Read(Response response)
    {
        var tokens = _tokenizer.EncodeEnd(_includePrompt ? response.Whole : response.Text, _classifier.ContextLength);
        return tokens.Length > 0 ? tokens : [_tokenizer.EosId ?? 0];
    }
}
