using System.Runtime.InteropServices;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Generation;

/// <summary>What the processing of a row's next logits may look at.</summary>
/// <param name="Tokens">Prompt, or the start token of a decoder whose prompt is in the encoder, and response so far.</param>
/// <param name="ResponseTokens">How many of them are the response.</param>
/// <param name="TokensLeft">How many more may be written, the one that is chosen now included.</param>
public readonly record struct RowHistory(IReadOnlyList<int> Tokens, int ResponseTokens, int TokensLeft = int.MaxValue)
{
    /// <summary>What a row's writer has before it: the prompt, or where that is the encoder's the decoder's start token, and the response so far.</summary>
    /// <param name="row">The row as far as it is written.</param>
    /// <param name="shape">The model's sizes.</param>
    public static RowHistory Before(TokenRow row, LanguageModelShape shape) => new(ResponseInProgress.GivenTokens(row, shape), row.Response.Length);
}

/// <summary>The tokens that can be drawn, as unnormalised log-probabilities.</summary>
/// <param name="Logits">[B, C] float32; −∞ where a token can't be drawn.</param>
/// <param name="Ids">[B, C] int64: which token each entry is, most likely first; null where entry v is token v and C = V.</param>
public readonly record struct Candidates(Tensor Logits, Tensor? Ids)
{
    /// <summary>The B sets of tokens that can be drawn, where they are known without a look at the logits; null where top-k or the like chose them.</summary>
    public TokenSet[]? Allowed { get; init; }

    /// <summary>The B sets of tokens that can be drawn.</summary>
    /// <param name="vocabulary">V.</param>
    public TokenSet[] Sets(int vocabulary)
    {
        if (Allowed is not null) return Allowed;
        var width = (int)Logits.size(1);
        var possible = MemoryMarshal.Cast<byte, bool>(Logits.isfinite().cpu().bytes).ToArray();
        var ids = Ids is null ? null : MemoryMarshal.Cast<byte, long>(Ids.cpu().contiguous().bytes).ToArray();
        return [.. possible.Chunk(width).Select((row, b) =>
            TokenSet.Of([.. Enumerable.Range(0, width).Where(place => row[place]).Select(place => ids is null ? place : (int)ids[(b * width) + place])], vocabulary))];
    }
}

/// <summary>
/// From the model's logits to the distribution that is sampled: the same processors in the same order as transformers' <c>generate</c>
/// (biases, repetition penalty, n-grams and sequences that are forbidden, minimum of new tokens, forced tokens; then, only when sampling, temperature, top-k, top-p, min-p, typical-p).
/// Pure: the input is never changed.
/// </summary>
/// <remarks>
/// Nothing over the vocabulary is sorted that need not be: top-k and top-p give the few tokens that are left, so that all after them costs next to nothing.
/// New tensors belong to the caller's dispose scope; a result may be the input itself.
/// </remarks>
public static class LogitsProcessing
{
    private const float Impossible = float.NegativeInfinity;

    // Where top-p is asked without top-k, so many of the most likely tokens are tried first, then eight times as many.
    private const long FirstNucleus = 256;

    /// <summary>The distribution that is sampled.</summary>
    /// <param name="logits">[B, V] float32, the model's own.</param>
    /// <param name="rows">B histories.</param>
    /// <param name="settings">Valid settings (<see cref="SamplingSettings.Validate"/>).</param>
    public static Candidates Apply(Tensor logits, IReadOnlyList<RowHistory> rows, SamplingSettings settings)
    {
        var allowed = Allowed(rows, settings);
        var penalised = Keep(Rescore(logits, rows, settings), allowed);
        if (settings.Greedy || settings.Beams is not null) return new Candidates(penalised, null) { Allowed = allowed };
        var candidates = Restrict(penalised, settings);
        return Restricts(settings) ? candidates : candidates with { Allowed = allowed };
    }

    /// <summary>The processors that look at what a row holds: biases, repetition penalty, then what is forbidden, then what is forced.</summary>
    /// <param name="logits">[B, V] float32; log-probabilities in a beam search.</param>
    /// <param name="rows">B histories.</param>
    /// <param name="settings">Valid settings.</param>
    /// <returns>[B, V] float32; <paramref name="logits"/> itself where nothing applies.</returns>
    public static Tensor Penalise(Tensor logits, IReadOnlyList<RowHistory> rows, SamplingSettings settings) =>
        Keep(Rescore(logits, rows, settings), Allowed(rows, settings));

    /// <summary>
    /// The processors that change scores but leave every token possible: biases, then the repetition penalty. What is drawn after them is drawn from another distribution than the model's,
    /// so that a log-probability of what was sampled is taken after them too.
    /// </summary>
    /// <param name="logits">[B, V] float32; may be differentiable.</param>
    /// <param name="rows">B histories.</param>
    /// <param name="settings">Valid settings.</param>
    /// <returns>[B, V] float32, differentiable if the logits are; <paramref name="logits"/> itself where nothing applies.</returns>
    public static Tensor Rescore(Tensor logits, IReadOnlyList<RowHistory> rows, SamplingSettings settings) =>
        settings.RepetitionPenalty == 1 ? Biased(logits, rows, settings) : PenaliseRepetition(Biased(logits, rows, settings), rows, settings.RepetitionPenalty);

    /// <summary>Whether <see cref="Rescore"/> does anything.</summary>
    public static bool ChangesScores(SamplingSettings settings) => settings.RepetitionPenalty != 1 || settings.ModelRules is not null;

    /// <summary>Whether temperature's followers in the order leave tokens out: top-k, top-p, min-p, typical-p.</summary>
    private static bool Restricts(SamplingSettings settings) => settings.TopK > 0 || settings.TopP < 1 || settings.MinP > 0 || settings.TypicalP < 1;

    /// <summary>What each row may go on with, whatever the logits: all but what is forbidden, or the one token that is forced.</summary>
    /// <param name="rows">B histories.</param>
    /// <param name="settings">Valid settings.</param>
    private static TokenSet[] Allowed(IReadOnlyList<RowHistory> rows, SamplingSettings settings) =>
        [.. rows.Select(row => Forced(row, settings) is { } forced ? TokenSet.Single(forced) : TokenSet.Without(Forbidden(row, settings)))];

    /// <summary>Logits with −∞ outside a set; where the set is a single token, that has 0.</summary>
    /// <param name="logits">[B, V] float32.</param>
    /// <param name="allowed">B sets.</param>
    /// <returns>[B, V] float32; <paramref name="logits"/> itself where nothing is left out.</returns>
    private static Tensor Keep(Tensor logits, TokenSet[] allowed)
    {
        if (Array.TrueForAll(allowed, set => set.IsAll)) return logits;
        var result = logits.clone();
        if (Array.Exists(allowed, set => set.AreOutside && !set.IsAll))
            result.view(-1).IndexFillInPlace(0, EntriesOf(result, allowed.Select(set => set.AreOutside ? set.Ids : [])), Impossible);
        for (var row = 0; row < allowed.Length; row++)
        {
            if (allowed[row].AreOutside) continue;
            var scores = result[row];
            scores.Fill(Impossible);
            scores.narrow(0, allowed[row].Ids[0], 1).Fill(0);
        }

        return result;
    }

    private static Tensor Biased(Tensor logits, IReadOnlyList<RowHistory> rows, SamplingSettings settings) => settings.ModelRules?.AddBiases(logits, rows) ?? logits;

    private static int? Forced(RowHistory row, SamplingSettings settings) =>
        row.TokensLeft == 1 && settings.ForcedLastToken is { } last ? last : row.ResponseTokens == 0 ? settings.ForcedFirstToken : null;

    /// <summary>The processors of sampling: temperature, then top-k, top-p, min-p and typical-p.</summary>
    /// <param name="logits">[B, V] float32.</param>
    /// <param name="settings">Valid settings.</param>
    public static Candidates Restrict(Tensor logits, SamplingSettings settings)
    {
        var scaled = settings.Temperature == 1 ? logits : logits.Divide(settings.Temperature);
        var candidates = settings.TopK > 0 && settings.TopK < scaled.size(1) ? TopK(scaled, settings.TopK) : new Candidates(scaled, null);
        if (settings.TopP < 1) candidates = TopP(candidates, settings.TopP);
        if (settings.MinP > 0) candidates = MinP(candidates, settings.MinP);
        return settings.TypicalP < 1 ? TypicalP(candidates, settings.TypicalP) : candidates;
    }

    private static Tensor PenaliseRepetition(Tensor logits, IReadOnlyList<RowHistory> rows, double penalty)
    {
        var entries = EntriesOf(logits, rows.Select(row => row.Tokens.Distinct()));
        var result = logits.clone();
        var flat = result.view(-1);
        var scores = flat.index_select(0, entries);
        flat.index_copy_(0, entries, where(scores.IsBelow(0), scores.Multiply(penalty), scores.Divide(penalty)));
        return result;
    }

    /// <summary>The tokens that can't come next, some perhaps twice.</summary>
    private static IEnumerable<int> Forbidden(RowHistory row, SamplingSettings settings)
    {
        IEnumerable<int> tokens = row.ResponseTokens < settings.MinNewTokens ? settings.EndTokens : [];
        if (settings.NoRepeatNgram > 0) tokens = tokens.Concat(RepeatedNgramEnds(row.Tokens, settings.NoRepeatNgram));
        if (settings.ForbiddenSequences.Count > 0) tokens = tokens.Concat(settings.ForbiddenSequences.Where(sequence => StandsAtEnd(row.Tokens, sequence)).Select(sequence => sequence[^1]));
        return settings.ModelRules is { } rules ? tokens.Concat(rules.Forbidden(row, settings.EndTokens)) : tokens;
    }

    /// <summary>The tokens that would make the last n − 1 and one more a sequence of n that the row already holds.</summary>
    private static IEnumerable<int> RepeatedNgramEnds(IReadOnlyList<int> tokens, int n)
    {
        for (var end = n - 1; end < tokens.Count; end++)
        {
            var i = 1;
            while (i < n && tokens[end - i] == tokens[tokens.Count - i]) i++;
            if (i == n) yield return tokens[end];
        }
    }

    /// <summary>Whether a row ends in all but the last token of a sequence.</summary>
    internal static bool StandsAtEnd(IReadOnlyList<int> tokens, IReadOnlyList<int> sequence)
    {
        var before = sequence.Count - 1;
        if (before > tokens.Count) return false;
        for (var i = 0; i < before; i++)
        {
            if (tokens[tokens.Count - before + i] != sequence[i]) return false;
        }

        return true;
    }

    /// <summary>[N] int64: where the rows' tokens stand in [B, V] read as one row.</summary>
    private static Tensor EntriesOf(Tensor logits, IEnumerable<IEnumerable<int>> tokensOfRows)
    {
        var vocabulary = logits.size(1);
        var entries = tokensOfRows.SelectMany((tokens, row) => tokens.Select(token => (row * vocabulary) + token)).ToArray();
        return tensor(entries, device: logits.device);
    }

    /// <summary>The k most likely tokens and all that are tied with the k-th.</summary>
    private static Candidates TopK(Tensor logits, int k)
    {
        var vocabulary = logits.size(1);
        // One more than k shows whether there is a tie; seldom is there one.
        for (var count = (long)k + 1; ; count = Math.Min(2 * count, vocabulary))
        {
            var (values, ids) = Largest(logits, count);
            var worse = values < values.narrow(1, k - 1, 1);
            if (count == vocabulary || worse.narrow(1, count - 1, 1).all().item<bool>())
            {
                return new Candidates(values.MaskedFill(worse, Impossible), ids);
            }
        }
    }

    /// <summary>
    /// The largest entries of each row, in descending order, with their ids. The vocabulary is dealt into groups; the <paramref name="count"/> largest entries lie in as many groups,
    /// those of the largest maxima. So only the maxima and the entries of those groups are selected from, not the whole vocabulary.
    /// </summary>
    private static (Tensor Values, Tensor Ids) Largest(Tensor logits, long count)
    {
        var vocabulary = logits.size(1);
        var groupSize = (long)Math.Sqrt(vocabulary / (double)count);
        if (groupSize < 4) return logits.topk((int)count);

        // Entry g + i·groups is the i-th of group g: maxima are then taken over rows that lie side by side. Entries beyond the last whole round belong to no group and are all looked at.
        var groups = vocabulary / groupSize;
        var dealt = groups * groupSize;
        var (_, best) = logits.narrow(1, 0, dealt).unflatten(1, groupSize, groups).amax([1]).topk((int)count);
        var inGroups = best.unsqueeze(1).Add(TensorNumbers.Range(0, dealt, groups, logits.device).view(1, -1, 1)).flatten(1);
        var ids = cat([inGroups, TensorNumbers.Range(dealt, vocabulary, 1, logits.device).expand(logits.size(0), -1)], 1);
        var (values, places) = logits.gather(1, ids).topk((int)count);
        return (values, ids.gather(1, places));
    }

    /// <summary>The most likely tokens up to the one with which their sum reaches p.</summary>
    private static Candidates TopP(Candidates candidates, double p)
    {
        var logNormaliser = candidates.Logits.logsumexp(1, keepdim: true);
        if (candidates.Ids is { } sortedIds)
        {
            return new Candidates(KeepNucleus(candidates.Logits, (candidates.Logits - logNormaliser).exp(), p, out _), sortedIds);
        }

        var vocabulary = candidates.Logits.size(1);
        for (var count = Math.Min(FirstNucleus, vocabulary); ; count = Math.Min(8 * count, vocabulary))
        {
            var (values, ids) = Largest(candidates.Logits, count);
            var kept = KeepNucleus(values, (values - logNormaliser).exp(), p, out var reached);
            if (count == vocabulary || reached)
            {
                return new Candidates(kept, ids);
            }
        }
    }

    private static Candidates MinP(Candidates candidates, double p) =>
        candidates with { Logits = candidates.Logits.MaskedFill(candidates.Logits < candidates.Logits.amax([1], keepdim: true).Add(Math.Log(p)), Impossible) };

    /// <summary>Tokens in the order of how far their surprise is from its expectation, up to the one with which their sum reaches p.</summary>
    private static Candidates TypicalP(Candidates candidates, double p)
    {
        var logProbs = candidates.Logits.log_softmax(1);
        var probabilities = logProbs.exp();
        var entropy = -(probabilities * logProbs).nan_to_num(0).sum(1, keepdim: true);
        var distance = logProbs.Add(entropy).abs();
        var (sorted, order) = distance.sort(1);
        var last = probabilities.gather(1, order).cumsum(1).IsBelow(p).sum(1, keepdim: true).ClampMax(distance.size(1) - 1);
        return candidates with { Logits = candidates.Logits.MaskedFill(distance > sorted.gather(1, last), Impossible) };
    }

    /// <param name="sorted">[B, C] logits, the most likely first.</param>
    /// <param name="probabilities">[B, C], among all tokens.</param>
    /// <param name="p">The sum to reach.</param>
    /// <param name="reached">Whether each row's C tokens reach it.</param>
    private static Tensor KeepNucleus(Tensor sorted, Tensor probabilities, double p, out bool reached)
    {
        var sum = probabilities.cumsum(1);
        reached = sum.narrow(1, sum.size(1) - 1, 1).IsAtLeast(p).all().item<bool>();
        // A token goes if those before it are enough, so the first always stays.
        return sorted.MaskedFill((sum - probabilities).IsAtLeast(p), Impossible);
    }
}
