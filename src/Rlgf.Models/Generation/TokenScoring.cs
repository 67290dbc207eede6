using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Generation;

/// <summary>Log-probabilities of the tokens of a given text, with the most likely ones at each place.</summary>
public static class TokenScoring
{
    /// <summary>So many places have their logits in memory at once, always as many: oneDNN compiles a product for each new shape.</summary>
    private const int PlacesAtOnce = 64;

    /// <summary>Scores a text.</summary>
    /// <param name="model">The model, in evaluation mode; one that reads prompt and response as one sequence.</param>
    /// <param name="ids">T ids, at least one and no more than the model's context.</param>
    /// <param name="alternatives">How many of the most likely tokens are given for each place.</param>
    /// <returns>T − 1 entries: all tokens but the first, before which nothing stands.</returns>
    public static IReadOnlyList<WrittenToken> Score(ILanguageModel model, int[] ids, int alternatives)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(ids);
        if (model.Shape.ReadsPromptApart) throw new ArgumentException("An encoder–decoder gives its prompt no probabilities.", nameof(model));
        if (ids.Length == 1) return [];
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var states = model.ResponseStates([new TokenRow(ids[..1], ids[1..])])[0];
        var scores = new List<WrittenToken>(ids.Length - 1);
        foreach (var places in Enumerable.Range(0, ids.Length - 1).Chunk(PlacesAtOnce)) scores.AddRange(Score(model, states, ids, places, alternatives));
        return scores;
    }

    /// <param name="model">The model.</param>
    /// <param name="states">[T − 1, D]: what each token but the first is predicted from.</param>
    /// <param name="ids">T ids.</param>
    /// <param name="places">Which of the states.</param>
    /// <param name="alternatives">How many of the most likely tokens are given for each.</param>
    private static IEnumerable<WrittenToken> Score(ILanguageModel model, Tensor states, int[] ids, int[] places, int alternatives)
    {
        using var scope = NewDisposeScope();
        var padded = new long[PlacesAtOnce];
        for (var i = 0; i < padded.Length; i++) padded[i] = places[Math.Min(i, places.Length - 1)];
        var logProbs = model.Logits(states.index_select(0, tensor(padded, device: states.device))).narrow(0, 0, places.Length).log_softmax(1);
        var chosen = logProbs.gather(1, tensor(Array.ConvertAll(places, place => (long)ids[place + 1]), places.Length, 1, device: states.device));
        var values = chosen.HostArray<float>();
        if (Array.Exists(values, float.IsNaN)) throw TextGenerator.NotNumbers();
        var most = alternatives > 0 ? TokenLogProb.MostLikely(logProbs, alternatives) : null;
        return [.. places.Select((place, i) => new WrittenToken(ids[place + 1], values[i], most?[i] ?? []))];
    }
}
