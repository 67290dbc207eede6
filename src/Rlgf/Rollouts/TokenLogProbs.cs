using Rlgf.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Rollouts;

/// <summary>Log-probabilities of given tokens.</summary>
public static class TokenLogProbs
{
    private const long RowMultiple = 64;

    /// <summary>
    /// log π(a_t|s_t) where the mask is true and 0 elsewhere. Logits, the largest tensor of all, are computed at those positions only.
    /// </summary>
    /// <param name="model">π.</param>
    /// <param name="states">[B, A, D] float32 from <see cref="ILanguageModel.ResponseStates"/>; may be differentiable.</param>
    /// <param name="tokens">[B, A] int64.</param>
    /// <param name="mask">[B, A] bool.</param>
    /// <returns>[B, A] float32, differentiable if the states are.</returns>
    public static Tensor Of(ILanguageModel model, Tensor states, Tensor tokens, Tensor mask)
    {
        using var scope = NewDisposeScope();
        var positions = mask.reshape(-1).nonzero().squeeze(1);
        if (positions.size(0) == 0) return zeros([tokens.size(0), tokens.size(1)], states.dtype, states.device).MoveToOuterDisposeScope();
        // As many rows as a multiple of 64: oneDNN compiles a product for each new shape and keeps it, so that counts which always differ cost time and memory without end.
        var count = positions.size(0);
        var padding = (RowMultiple - count % RowMultiple) % RowMultiple;
        var padded = padding == 0 ? positions : cat([positions, positions.narrow(0, 0, 1).expand(padding)]);
        var logits = model.Logits(states.reshape(-1, states.size(2)).index_select(0, padded)).narrow(0, 0, count);
        var negative = nn.functional.cross_entropy(logits, tokens.reshape(-1).index_select(0, positions), reduction: nn.Reduction.None);
        var flat = zeros([tokens.numel()], negative.dtype, negative.device).index_add(0, positions, negative, -1);
        return flat.reshape(tokens.shape).MoveToOuterDisposeScope();
    }

    /// <summary>log π(a_t|s_t) of all response tokens of complete rows, 0 beyond a row's length.</summary>
    /// <param name="model">π.</param>
    /// <param name="rows">B rows; A is the longest response, at least 1.</param>
    /// <returns>[B, A] float32.</returns>
    public static Tensor OfRows(ILanguageModel model, IReadOnlyList<TokenRow> rows)
    {
        using var scope = NewDisposeScope();
        var steps = rows.Max(row => row.Response.Length);
        var tokens = new long[rows.Count * steps];
        var mask = new bool[rows.Count * steps];
        for (var row = 0; row < rows.Count; row++)
            for (var t = 0; t < rows[row].Response.Length; t++) (tokens[row * steps + t], mask[row * steps + t]) = (rows[row].Response[t], true);
        return Of(model, model.ResponseStates(rows), tensor(tokens).reshape(rows.Count, steps), tensor(mask).reshape(rows.Count, steps)).MoveToOuterDisposeScope();
    }
}
