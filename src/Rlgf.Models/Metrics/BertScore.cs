using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Models.Tensors;
using Rlgf.Text.Metrics;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Metrics;

/// <summary>Precision, recall and F of a text against its references, by the states of an encoder.</summary>
/// <param name="Precision">How well the text's tokens are matched.</param>
/// <param name="Recall">How well a reference's tokens are matched.</param>
/// <param name="F1">Their harmonic mean.</param>
public readonly record struct BertOverlap(double Precision, double Recall, double F1);

/// <summary>BERTScore: each token is matched with the most similar one of the other text, by the cosine of an encoder's states.</summary>
/// <remarks>Zhang et al. 2020 (arXiv 1904.09675), as the library bert_score computes it, without rescaling. Special tokens count nothing, and can be matched all the same.</remarks>
public sealed class BertScore
{
    private const int RowsPerBatch = 32;
    private const int TextsAtOnce = 64;

    private readonly TextEncoder _encoder;
    private readonly int? _layer;
    private readonly HashSet<int> _special;
    private readonly Dictionary<int, double>? _weights;
    private readonly double _unseen;

    /// <summary>Makes the metric.</summary>
    /// <param name="encoder">The encoder; stays the caller's.</param>
    /// <param name="layer">After how many layers states are compared; null for all.</param>
    /// <param name="weighted">Texts, usually the references, by which rare tokens count more: ln((N + 1) / (n + 1)) of a token that n of N texts have; null where all count the same.</param>
    /// <exception cref="InputException">The encoder has no such layer.</exception>
    public BertScore(TextEncoder encoder, int? layer = null, IReadOnlyCollection<string>? weighted = null)
    {
        if (layer is { } number && (number < 1 || number > encoder.Layers)) throw new InputException($"the encoder has {encoder.Layers} layers, and its layer {number} is asked for");
        (_encoder, _layer) = (encoder, layer);
        _special = [.. encoder.Encode("")];
        if (weighted is null) return;
        _unseen = Math.Log(weighted.Count + 1);
        _weights = weighted.SelectMany(text => encoder.Encode(text.Trim()).Distinct()).GroupBy(id => id).ToDictionary(ids => ids.Key, ids => Math.Log((weighted.Count + 1.0) / (ids.Count() + 1.0)));
    }

    /// <summary>The metric by its name <c>bertscore</c>, whose value is F1.</summary>
    public TextMetric AsMetric() => TextMetric.MeanOfBatch("bertscore", MetricNeed.References, (texts, stop) => [.. texts.Chunk(TextsAtOnce).SelectMany(chunk =>
    {
        stop.ThrowIfCancellationRequested();
        return Of([.. chunk.Select(text => (text.Text, text.References))]);
    }).Select(overlap => (double?)overlap.F1)]);

    /// <summary>Scores texts; of several references the highest precision, recall and F1 count, each apart.</summary>
    /// <param name="texts">Texts and their references, at least one each. White space around a text doesn't count, and an empty text gets 0.</param>
    public IReadOnlyList<BertOverlap> Of(IReadOnlyList<(string Text, IReadOnlyList<string> References)> texts)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var states = StatesOf([.. texts.SelectMany(row => row.References.Append(row.Text)).Select(text => text.Trim()).Distinct(StringComparer.Ordinal)]);
        return [.. texts.Select(row =>
        {
            BertOverlap[] all = [.. row.References.Select(reference => Match(states[row.Text.Trim()], states[reference.Trim()]))];
            return new BertOverlap(all.Max(overlap => overlap.Precision), all.Max(overlap => overlap.Recall), all.Max(overlap => overlap.F1));
        })];
    }

    /// <summary>Matches the tokens of two texts.</summary>
    private BertOverlap Match((int[] Ids, Tensor States) own, (int[] Ids, Tensor States) reference)
    {
        if (own.Ids.All(_special.Contains) || reference.Ids.All(_special.Contains)) return default;
        using var scope = NewDisposeScope();
        var similarity = own.States.matmul(reference.States.t());
        var (precision, recall) = (WeightedMean(similarity.amax([1]), own.Ids), WeightedMean(similarity.amax([0]), reference.Ids));
        // Texts of tokens without weight have no mean.
        return double.IsNaN(precision + recall) || precision + recall == 0 ? default : new(precision, recall, 2 * precision * recall / (precision + recall));
    }

    private double WeightedMean(Tensor best, int[] ids)
    {
        var values = best.HostArray<double>();
        double sum = 0, total = 0;
        for (var t = 0; t < ids.Length; t++)
        {
            var weight = _special.Contains(ids[t]) ? 0 : _weights is null ? 1 : _weights.GetValueOrDefault(ids[t], _unseen);
            (sum, total) = (sum + weight * values[t], total + weight);
        }

        return sum / total;
    }

    /// <summary>[T, D] float64 of length 1 for each text, computed in float32.</summary>
    private Dictionary<string, (int[] Ids, Tensor States)> StatesOf(string[] texts)
    {
        var found = new Dictionary<string, (int[], Tensor)>(StringComparer.Ordinal);
        foreach (var batch in texts.Select(text => (Text: text, Ids: _encoder.Encode(text))).OrderBy(row => row.Ids.Length).Chunk(RowsPerBatch))
        {
            using var scope = NewDisposeScope();
            var states = _encoder.States([.. batch.Select(row => row.Ids)], _layer).to_type(ScalarType.Float64).cpu();
            for (var b = 0; b < batch.Length; b++)
            {
                var own = states[b].narrow(0, 0, batch[b].Ids.Length);
                found[batch[b].Text] = (batch[b].Ids, (own / own.norm(1, keepdim: true)).MoveToOuterDisposeScope());
            }
        }

        return found;
    }
}
