using System.Runtime.InteropServices;
using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Generation;

/// <summary>From the next logits of a batch to a token for each of its rows, which may have settings of their own.</summary>
internal static class TokenChoice
{
    /// <summary>Adds a token to each row that is not finished.</summary>
    /// <param name="logits">[B, V] float32, the model's own.</param>
    /// <param name="rows">B rows.</param>
    /// <exception cref="InputException">The logits are not numbers.</exception>
    public static void Choose(Tensor logits, IReadOnlyList<ResponseInProgress> rows)
    {
        using var scope = NewDisposeScope();
        if (rows.All(row => ReferenceEquals(row.Settings, rows[0].Settings)))
        {
            ChooseAlike(logits, rows, rows[0].Settings);
            return;
        }

        foreach (var alike in Enumerable.Range(0, rows.Count).Where(row => !rows[row].IsDone).GroupBy(row => rows[row].Settings))
        {
            var places = tensor(alike.Select(row => (long)row).ToArray(), device: logits.device);
            ChooseAlike(logits.index_select(0, places), [.. alike.Select(row => rows[row])], alike.Key);
        }
    }

    private static void ChooseAlike(Tensor logits, IReadOnlyList<ResponseInProgress> rows, SamplingSettings settings)
    {
        var candidates = LogitsProcessing.Apply(logits, [.. rows.Select(row => row.History)], settings);
        var tokens = new int[rows.Count];
        var logProbs = new double[rows.Count];
        TokenSet[] choices;
        if (settings.Greedy)
        {
            ChooseMostLikely(candidates.Logits, tokens);
            choices = Array.ConvertAll(tokens, TokenSet.Single);
        }
        else
        {
            Sample(candidates, rows, tokens, logProbs);
            choices = candidates.Sets((int)logits.size(1));
        }

        var isRaw = !settings.Greedy && ReferenceEquals(candidates.Logits, logits);
        var rawLogProbs = isRaw ? Array.ConvertAll(logProbs, value => (float)value) : LogProbs(logits, tokens);
        var alternatives = Alternatives(logits, rows);
        for (var i = 0; i < rows.Count; i++)
        {
            if (rows[i].IsDone)
            {
                continue;
            }

            if (tokens[i] < 0 || !float.IsFinite(rawLogProbs[i]))
            {
                throw TextGenerator.NotNumbers();
            }

            rows[i].Add(tokens[i], (float)logProbs[i], rawLogProbs[i], choices[i], alternatives?[i] ?? []);
        }
    }

    private static void ChooseMostLikely(Tensor logits, int[] tokens) => MemoryMarshal.Cast<byte, int>(logits.argmax(1).to(ScalarType.Int32).cpu().bytes).CopyTo(tokens);

    private static void Sample(Candidates candidates, IReadOnlyList<ResponseInProgress> rows, int[] tokens, double[] logProbs)
    {
        var uniforms = rows.Select(row => RandomStream.Uniform(row.Seed, row.Stream, (ulong)row.ResponseLength)).ToArray();
        InverseTransform.Draw(candidates.Logits.softmax(1), uniforms, tokens, logProbs);
        if (candidates.Ids is not { } ids)
        {
            return;
        }

        var places = tensor(Array.ConvertAll(tokens, place => (long)Math.Max(place, 0)), tokens.Length, 1, device: ids.device);
        var chosen = MemoryMarshal.Cast<byte, long>(ids.gather(1, places).cpu().bytes);
        for (var i = 0; i < tokens.Length; i++)
        {
            tokens[i] = tokens[i] < 0 ? -1 : (int)chosen[i];
        }
    }

    /// <summary>For each row, the log-probability of a token under the softmax of [B, V] logits.</summary>
    private static float[] LogProbs(Tensor logits, int[] tokens)
    {
        var chosen = tensor(Array.ConvertAll(tokens, token => (long)Math.Max(token, 0)), device: logits.device);
        var logProbs = -nn.functional.cross_entropy(logits, chosen, reduction: nn.Reduction.None);
        return MemoryMarshal.Cast<byte, float>(logProbs.cpu().bytes).ToArray();
    }

    /// <summary>For each row that asks for them, the most likely tokens under the model's own distribution; null where no row does.</summary>
    private static TokenLogProb[]?[]? Alternatives(Tensor logits, IReadOnlyList<ResponseInProgress> rows)
    {
        var asking = Enumerable.Range(0, rows.Count).Where(row => rows[row].Alternatives > 0 && !rows[row].IsDone).ToArray();
        if (asking.Length == 0) return null;
        var result = new TokenLogProb[]?[rows.Count];
        var ofThem = logits.index_select(0, tensor(Array.ConvertAll(asking, row => (long)row), device: logits.device)).log_softmax(1);
        var most = TokenLogProb.MostLikely(ofThem, asking.Max(row => rows[row].Alternatives));
        for (var i = 0; i < asking.Length; i++) result[asking[i]] = most[i][..Math.Min(most[i].Length, rows[asking[i]].Alternatives)];
        return result;
    }
}
