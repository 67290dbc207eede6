using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Generation;

/// <summary>What the processing of a row's next logits may look at.</summary>
/// <param name="Tokens">Prompt and response so far.</param>
/// <param name="ResponseTokens">How many of them are the response.</param>
public readonly record struct RowHistory(IReadOnlyList<int> Tokens, int ResponseTokens);

/// <summary>The tokens that can be drawn, as unnormalised log-probabilities.</summary>
/// <param name="Logits">[B, C] float32; −∞ where a token can't be drawn.</param>
/// <param name="Ids">[B, C] int64: which token each entry is, most likely first; null where entry v is token v and C = V.</param>
public readonly record struct Candidates(Tensor Logits, Tensor? Ids);

/// <summary>
/// From the model's logits to the distribution that is sampled: the same processors in the same order as transformers' <c>generate</c>
/// (repetition penalty, minimum of new tokens; then, only when sampling, temperature, top-k, top-p). Pure: the input is never changed.
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
        var penalised = Penalise(logits, rows, settings);
        return settings.Greedy ? new Candidates(penalised, null) : Restrict(penalised, settings);
    }

    /// <summary>The processors that look at what a row holds: repetition penalty, then the minimum of new tokens.</summary>
    /// <param name="logits">[B, V] float32.</param>
    /// <param name="rows">B histories.</param>
    /// <param name="settings">Valid settings.</param>
    /// <returns>[B, V] float32; <paramref name="logits"/> itself where nothing applies.</returns>
    public static Tensor Penalise(Tensor logits, IReadOnlyList<RowHistory> rows, SamplingSettings settings)
    {
        var result = logits;
        if (settings.RepetitionPenalty != 1)
        {
            result = PenaliseRepetition(result, rows, settings.RepetitionPenalty);
        }

        if (settings.EndTokens.Count > 0 && rows.Any(row => row.ResponseTokens < settings.MinNewTokens))
        {
            result = ForbidEnd(result, rows, settings);
        }

        return result;
    }

    /// <summary>The processors of sampling: temperature, then top-k, then top-p.</summary>
    /// <param name="logits">[B, V] float32.</param>
    /// <param name="settings">Valid settings.</param>
    public static Candidates Restrict(Tensor logits, SamplingSettings settings)
    {
        var scaled = settings.Temperature == 1 ? logits : logits / settings.Temperature;
        var candidates = settings.TopK > 0 && settings.TopK < scaled.size(1) ? TopK(scaled, settings.TopK) : new Candidates(scaled, null);
        return settings.TopP < 1 ? TopP(candidates, settings.TopP) : candidates;
    }

    private static Tensor PenaliseRepetition(Tensor logits, IReadOnlyList<RowHistory> rows, double penalty)
    {
        var entries = EntriesOf(logits, rows.Select(row => row.Tokens.Distinct()));
        var result = logits.clone();
        var flat = result.view(-1);
        var scores = flat.index_select(0, entries);
        flat.index_copy_(0, entries, where(scores < 0, scores * penalty, scores / penalty));
        return result;
    }

    private static Tensor ForbidEnd(Tensor logits, IReadOnlyList<RowHistory> rows, SamplingSettings settings)
    {
        var entries = EntriesOf(logits, rows.Select(row => row.ResponseTokens < settings.MinNewTokens ? settings.EndTokens : []));
        var result = logits.clone();
        result.view(-1).index_fill_(0, entries, Impossible);
        return result;
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
                return new Candidates(values.masked_fill(worse, Impossible), ids);
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
        var inGroups = (best.unsqueeze(1) + arange(0, dealt, groups, device: logits.device).view(1, -1, 1)).flatten(1);
        var ids = cat([inGroups, arange(dealt, vocabulary, device: logits.device).expand(logits.size(0), -1)], 1);
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

    /// <param name="sorted">[B, C] logits, the most likely first.</param>
    /// <param name="probabilities">[B, C], among all tokens.</param>
    /// <param name="p">The sum to reach.</param>
    /// <param name="reached">Whether each row's C tokens reach it.</param>
    private static Tensor KeepNucleus(Tensor sorted, Tensor probabilities, double p, out bool reached)
    {
        var sum = probabilities.cumsum(1);
        reached = (sum.narrow(1, sum.size(1) - 1, 1) >= p).all().item<bool>();
        // A token goes if those before it are enough, so the first always stays.
        return sorted.masked_fill(sum - probabilities >= p, Impossible);
    }
}
