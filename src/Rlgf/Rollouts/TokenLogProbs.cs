using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Rollouts;

/// <summary>Log-probabilities of given tokens, under a model's own distribution or under the one that they were drawn from.</summary>
/// <remarks>
/// What was drawn at temperature T from a set S of tokens was drawn from softmax(logits / T) renormalised over S. A policy gradient whose log-probabilities are those of another distribution,
/// the raw model's say, has an expectation that is not 0 where every response is worth the same: it drifts. See docs/algorithms.md.
/// </remarks>
public static class TokenLogProbs
{
    private const long RowMultiple = 64;

    /// <summary>
    /// log π(a_t|s_t) of the raw model where the mask is true and 0 elsewhere. Logits, the largest tensor of all, are computed at those positions only.
    /// </summary>
    /// <param name="model">π.</param>
    /// <param name="states">[B, A, D] float32 from <see cref="ILanguageModel.ResponseStates"/>; may be differentiable.</param>
    /// <param name="tokens">[B, A] int64.</param>
    /// <param name="mask">[B, A] bool; read on the host, so that one that is there costs no waiting for an accelerator.</param>
    /// <param name="positionsPerPart">Positions whose logits are held at once, the others' being computed again for gradients; 0 for all, null where their size decides.</param>
    /// <returns>[B, A] float32, differentiable if the states are.</returns>
    public static Tensor Of(ILanguageModel model, Tensor states, Tensor tokens, Tensor mask, int? positionsPerPart = null) =>
        Of(states, tokens, mask, WholeVocabulary(model.Shape.Vocabulary, positionsPerPart, (_, hidden) => model.Logits(hidden)));

    /// <summary>
    /// log π(a_t|s_t, S_t) where the mask is true and 0 elsewhere: under the distribution that the tokens were drawn from, after what changes scores, temperature, and over the set of tokens
    /// that could be drawn. A token that had no alternative has exactly 0, and a gradient of 0.
    /// </summary>
    /// <param name="model">π: the policy as it is now, as it was, or the reference; the sets stay those of the sample.</param>
    /// <param name="states">[B, A, D] float32 from <see cref="ILanguageModel.ResponseStates"/>; may be differentiable.</param>
    /// <param name="tokens">[B, A] int64.</param>
    /// <param name="mask">[B, A] bool; true nowhere beyond a row's response. Read on the host, as above.</param>
    /// <param name="samples">B rows: what they hold and could have held.</param>
    /// <param name="sampling">How they were drawn.</param>
    /// <param name="positionsPerPart">Positions whose logits are held at once, the others' being computed again for gradients; 0 for all, null where their size decides.</param>
    /// <returns>[B, A] float32, differentiable if the states are.</returns>
    public static Tensor Of(ILanguageModel model, Tensor states, Tensor tokens, Tensor mask, IReadOnlyList<SampledRow> samples, SamplingSettings sampling, int? positionsPerPart = null)
    {
        using var scope = NewDisposeScope();
        mask = mask.cpu();
        var included = mask.reshape(-1).HostArray<bool>();
        var width = (int)mask.size(1);
        TokenSet SetAt(int position) => samples[position / width].Choices[position % width];

        // Few tokens are gathered; where most of the vocabulary is left, the rest is struck out instead.
        var few = included.Select((isIncluded, position) => isIncluded && !SetAt(position).AreOutside).ToArray();
        if (Array.IndexOf(few, true) < 0) return OfMost(mask).MoveToOuterDisposeScope();
        var ofFew = tensor(few, device: CPU).reshape(mask.shape);
        var ofMost = mask.bitwise_and(ofFew.bitwise_not());
        return Of(states, tokens, ofFew, Few).Add(OfMost(ofMost)).MoveToOuterDisposeScope();

        Tensor OfMost(Tensor included) =>
            Of(states, tokens, included, WholeVocabulary(model.Shape.Vocabulary, positionsPerPart, (positions, hidden) => Without(Scores(positions, hidden), positions)));

        Tensor Few(long[] positions, Tensor hidden, Tensor chosen) => LogitsInParts.Of(
            hidden, chosen, LogitsInParts.PositionsAtOnce(positions.Length, model.Shape.Vocabulary, positionsPerPart),
            (part, ofPart, chosenOfPart) => AmongFew(Scores(positions[part], ofPart), [.. positions[part].Select(position => SetAt((int)position))], chosenOfPart));

        Tensor Scores(long[] positions, Tensor hidden)
        {
            var logits = model.Logits(hidden);
            if (LogitsProcessing.ChangesScores(sampling)) logits = LogitsProcessing.Rescore(logits, [.. positions.Select(position => samples[(int)position / width].HistoryAt((int)position % width, model.Shape))], sampling);
            return sampling.Temperature == 1 ? logits : logits.Divide(sampling.Temperature);
        }

        Tensor Without(Tensor scores, long[] positions)
        {
            var vocabulary = scores.size(1);
            var struck = positions.SelectMany((position, row) => SetAt((int)position).Ids.Select(id => (row * vocabulary) + id)).ToArray();
            return struck.Length == 0 ? scores : scores.reshape(-1).IndexFill(0, tensor(struck, device: scores.device), float.NegativeInfinity).reshape(scores.shape);
        }
    }

    /// <summary>
    /// log π(a_t|s_t, S_t) of the tokens that the policy wrote, under the distribution that they were drawn from, 0 elsewhere; constants. Rows are read up to the last of these tokens, and not at all without one:
    /// what the guide wrote whole, or after the policy's roll-in, isn't.
    /// </summary>
    /// <param name="model">π.</param>
    /// <param name="batch">B rows.</param>
    /// <param name="sampling">How they were drawn.</param>
    /// <returns>[B, A] float32.</returns>
    public static Tensor OfPolicy(ILanguageModel model, RolloutBatch batch, SamplingSettings sampling)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var rollouts = batch.Rollouts;
        int[] ends = [.. rollouts.Select(rollout => rollout.PolicyEnd)];
        int[] rows = [.. Enumerable.Range(0, ends.Length).Where(row => ends[row] > 0)];
        var logProbs = zeros_like(batch.LogProbs);
        if (rows.Length == 0) return logProbs.MoveToOuterDisposeScope();
        var states = model.ResponseStates([.. rows.Select(row => new TokenRow(rollouts[row].Prompt.Tokens, rollouts[row].Tokens[..ends[row]]))]);
        // A reference may be elsewhere than the policy, and what is compared with the policy's must be where that is.
        var (index, onHost, width) = (Index(batch.Tokens.device), Index(CPU), states.size(1));
        var read = Of(
            model, states, batch.Tokens.index_select(0, index).narrow(1, 0, width).to(states.device), batch.IsPolicy.cpu().index_select(0, onHost).narrow(1, 0, width),
            [.. rows.Select(row => rollouts[row].Sample)], sampling);
        logProbs.narrow(1, 0, width).index_copy_(0, index, read.to(logProbs.device));
        return logProbs.MoveToOuterDisposeScope();

        Tensor Index(Device device) => tensor(Array.ConvertAll(rows, row => (long)row), device: device);
    }

    /// <summary>The same from states of whole rows that were computed before.</summary>
    /// <param name="model">π.</param>
    /// <param name="states">[B, A, D]: the rows' states under it.</param>
    /// <param name="batch">B rows.</param>
    /// <param name="sampling">How they were drawn.</param>
    /// <returns>[B, A] float32.</returns>
    internal static Tensor OfPolicy(ILanguageModel model, Tensor states, RolloutBatch batch, SamplingSettings sampling)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        if (batch.PolicyTokens == 0) return zeros_like(batch.LogProbs).MoveToOuterDisposeScope();
        // A reference may be elsewhere than the policy, and what is compared with the policy's must be where that is.
        return Of(model, states, batch.Tokens.to(states.device), batch.IsPolicy, batch.Samples, sampling).to(batch.Tokens.device).MoveToOuterDisposeScope();
    }

    /// <summary>log π(a_t|s_t) of all response tokens of complete rows, 0 beyond a row's length.</summary>
    /// <param name="model">π.</param>
    /// <param name="rows">B rows; A is the longest response, at least 1.</param>
    /// <param name="positionsPerPart">Positions whose logits are held at once, the others' being computed again for gradients; 0 for all, null where their size decides.</param>
    /// <returns>[B, A] float32.</returns>
    public static Tensor OfRows(ILanguageModel model, IReadOnlyList<TokenRow> rows, int? positionsPerPart = null)
    {
        using var scope = NewDisposeScope();
        var (tokens, mask) = TokensAndMask(rows, model.Device);
        return Of(model, model.ResponseStates(rows), tokens, mask, positionsPerPart).MoveToOuterDisposeScope();
    }

    /// <summary>log π(a_t|s_t, S_t) of all response tokens of complete rows under the distribution that they were drawn from, 0 beyond a row's length.</summary>
    /// <param name="model">π.</param>
    /// <param name="samples">B rows; A is the longest response, at least 1.</param>
    /// <param name="sampling">How they were drawn.</param>
    /// <returns>[B, A] float32.</returns>
    public static Tensor OfRows(ILanguageModel model, IReadOnlyList<SampledRow> samples, SamplingSettings sampling)
    {
        using var scope = NewDisposeScope();
        return OfRows(model, model.ResponseStates([.. samples.Select(sample => sample.Row)]), samples, sampling).MoveToOuterDisposeScope();
    }

    /// <summary>The same from states that were computed before.</summary>
    /// <param name="model">π.</param>
    /// <param name="states">[B, A, D] float32: the rows' states; may be differentiable.</param>
    /// <param name="samples">B rows; A is the longest response, at least 1.</param>
    /// <param name="sampling">How they were drawn.</param>
    /// <param name="positionsPerPart">As above.</param>
    /// <returns>[B, A] float32, differentiable if the states are.</returns>
    internal static Tensor OfRows(ILanguageModel model, Tensor states, IReadOnlyList<SampledRow> samples, SamplingSettings sampling, int? positionsPerPart = null)
    {
        using var scope = NewDisposeScope();
        var (tokens, mask) = TokensAndMask([.. samples.Select(sample => sample.Row)], states.device);
        return Of(model, states, tokens, mask, samples, sampling, positionsPerPart).MoveToOuterDisposeScope();
    }

    /// <summary>log π(y|x) of whole responses, the sums over their tokens, nats; constants.</summary>
    /// <param name="model">π.</param>
    /// <param name="samples">Any number of rows.</param>
    /// <param name="sampling">How they were drawn.</param>
    /// <param name="rowsAtOnce">How many rows to compute together.</param>
    internal static double[] OfResponses(ILanguageModel model, IReadOnlyList<SampledRow> samples, SamplingSettings sampling, int rowsAtOnce) => [.. samples.Chunk(rowsAtOnce).SelectMany(part =>
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        return OfRows(model, part, sampling).sum(1).to(ScalarType.Float64).HostArray<double>();
    })];

    /// <summary>[B, A] int64 on the device, and [B, A] bool on the host.</summary>
    private static (Tensor Tokens, Tensor Mask) TokensAndMask(IReadOnlyList<TokenRow> rows, Device device)
    {
        var steps = rows.Max(row => row.Response.Length);
        var tokens = new long[rows.Count * steps];
        var mask = new bool[rows.Count * steps];
        for (var row = 0; row < rows.Count; row++)
            for (var t = 0; t < rows[row].Response.Length; t++) (tokens[row * steps + t], mask[row * steps + t]) = (rows[row].Response[t], true);
        return (tensor(tokens, device: device).reshape(rows.Count, steps), tensor(mask, device: CPU).reshape(rows.Count, steps));
    }

    /// <summary>Log-probabilities at the positions of a mask, put in their places.</summary>
    /// <param name="states">[B, A, D].</param>
    /// <param name="tokens">[B, A] int64.</param>
    /// <param name="mask">[B, A] bool.</param>
    /// <param name="logProbs">From N positions in B·A, their states [N, D] and their tokens [N] to [N] log-probabilities.</param>
    private static Tensor Of(Tensor states, Tensor tokens, Tensor mask, Func<long[], Tensor, Tensor, Tensor> logProbs)
    {
        using var scope = NewDisposeScope();
        // Which positions is decided on the host: their number is a shape, which an accelerator would have to be asked for.
        var positions = mask.cpu().reshape(-1).nonzero().squeeze(1);
        var count = positions.size(0);
        if (count == 0) return zeros([tokens.size(0), tokens.size(1)], ScalarType.Float32, states.device).MoveToOuterDisposeScope();
        // As many rows as a multiple of 64: oneDNN compiles a product for each new shape and keeps it, so that counts which always differ cost time and memory without end.
        var padding = (RowMultiple - count % RowMultiple) % RowMultiple;
        var padded = padding == 0 ? positions : cat([positions, positions.narrow(0, 0, 1).expand(padding)]);
        var places = padded.to(states.device);
        var flatPositions = padded.HostArray<long>();
        var values = logProbs(flatPositions, states.reshape(-1, states.size(2)).index_select(0, places), tokens.reshape(-1).index_select(0, places)).narrow(0, 0, count);
        var flat = zeros([tokens.numel()], values.dtype, values.device).IndexAdd(0, places.narrow(0, 0, count), values);
        return flat.reshape(tokens.shape).MoveToOuterDisposeScope();
    }

    /// <summary>The log-probabilities [N] of tokens under the softmax of [N, V] scores, which are computed from positions and states.</summary>
    private static Func<long[], Tensor, Tensor, Tensor> WholeVocabulary(int vocabulary, int? positionsPerPart, Func<long[], Tensor, Tensor> scores) => (positions, hidden, chosen) =>
        LogitsInParts.OfWholeVocabulary(hidden, chosen, LogitsInParts.PositionsAtOnce(positions.Length, vocabulary, positionsPerPart), (part, ofPart) => scores(positions[part], ofPart));

    /// <summary>[N]: of N tokens under the softmax of [N, V] scores over a set of tokens each.</summary>
    private static Tensor AmongFew(Tensor scores, TokenSet[] sets, Tensor chosen)
    {
        var widest = sets.Max(set => set.Ids.Count);
        var ids = new long[sets.Length * widest];
        var isBeyond = new bool[sets.Length * widest];
        for (var row = 0; row < sets.Length; row++)
        {
            for (var place = 0; place < widest; place++)
            {
                isBeyond[row * widest + place] = place >= sets[row].Ids.Count;
                ids[row * widest + place] = sets[row].Ids[isBeyond[row * widest + place] ? 0 : place];
            }
        }

        var (rows, columns) = ((long)sets.Length, (long)widest);
        var among = scores.gather(1, tensor(ids, [rows, columns], device: scores.device))
            .MaskedFill(tensor(isBeyond, [rows, columns], device: scores.device), float.NegativeInfinity);
        return scores.gather(1, chosen.unsqueeze(1)).squeeze(1) - among.logsumexp(1);
    }
}
