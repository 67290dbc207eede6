using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Rollouts;
using Rlgf.Text.Metrics;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Metrics;

/// <summary>
/// Perplexity under a language model: exp of the mean negative log-probability of a text's tokens, of a corpus over all its tokens. The first token is not scored, since nothing comes before it; a text without
/// another has no value.
/// </summary>
public static class ModelPerplexity
{
    private const int RowsPerBatch = 16;

    /// <summary>The metric by its name <c>perplexity</c>.</summary>
    /// <param name="model">The model; stays the caller's.</param>
    /// <exception cref="InputException">The model reads prompts apart from responses, so that a text alone has no probability.</exception>
    public static TextMetric Of(TextModel model)
    {
        if (model.Model.Shape.ReadsPromptApart) throw new InputException($"{model.Folder}: an encoder–decoder scores a response to a prompt, and perplexity is of texts alone: give a model that goes on from texts");
        return TextMetric.SummedOfBatch(
            "perplexity", MetricNeed.Nothing, (texts, stop) => Statistics(model, texts, stop), statistics => statistics[1] == 0 ? null : Math.Exp(-statistics[0] / statistics[1]));
    }

    /// <summary>Of each text the sum of its tokens' log-probabilities and their number.</summary>
    private static double[][] Statistics(TextModel model, IReadOnlyList<MeasuredText> texts, CancellationToken stop)
    {
        var statistics = texts.Select(_ => new double[2]).ToArray();
        var rows = texts.Select(text => model.Tokenizer.Encode(text.Text, addSpecialTokens: true)).ToArray();
        if (Array.FindIndex(rows, row => row.Length > model.Model.Shape.ContextLength) is >= 0 and var tooLong)
            throw new InputException($"text {tooLong + 1}: {rows[tooLong].Length} tokens do not fit {model.Model.Shape.Limits}, under which its perplexity is asked for; shorten it");
        using var noGradient = no_grad();
        foreach (var batch in Enumerable.Range(0, rows.Length).Where(row => rows[row].Length > 1).OrderBy(row => rows[row].Length).Chunk(RowsPerBatch))
        {
            stop.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var logProbs = TokenLogProbs.OfRows(model.Model, [.. batch.Select(row => new TokenRow(rows[row][..1], rows[row][1..]))]);
            var sums = logProbs.to_type(ScalarType.Float64).sum(1).cpu().data<double>().ToArray();
            for (var i = 0; i < batch.Length; i++) statistics[batch[i]] = [sums[i], rows[batch[i]].Length - 1];
        }

        return statistics;
    }
}
