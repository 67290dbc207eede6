using Rlgf.Base;
using Rlgf.Distributed;
using Rlgf.Models.Generation;
using Rlgf.Rewards;

namespace Rlgf.Rollouts;

/// <summary>The one way by which a writer is asked: what it answers wrongly is said with its name.</summary>
internal static class CheckedRows
{
    /// <summary>Lets each rank's writer write the rows of its groups, and gives all.</summary>
    /// <exception cref="InputException">The writer failed, or answered otherwise than with one row for each.</exception>
    public static IReadOnlyList<GeneratedRow> Of(
        ITextWriter writer, IReadOnlyList<GenerationRequest> requests, SamplingSettings sampling, ulong seed, ICommunicator ranks, IReadOnlyList<int> groups, CancellationToken cancellationToken) =>
        Dealt.Of(ranks, groups, rows => Of(writer, rows.Length == requests.Count ? requests : [.. rows.Select(row => requests[row])], sampling, seed, cancellationToken), RowBytes.Write, RowBytes.ReadRow);

    /// <summary>Lets a writer write, and waits on this thread.</summary>
    /// <exception cref="InputException">The writer failed, or answered otherwise than with one row for each.</exception>
    public static IReadOnlyList<GeneratedRow> Of(ITextWriter writer, IReadOnlyList<GenerationRequest> requests, SamplingSettings sampling, ulong seed, CancellationToken cancellationToken)
    {
        if (requests.Count == 0) return [];
        var who = $"the writer '{writer.Name}'";
        var rows = OwnCode.Wait(() => OwnCode.RunAsync(who, $"{requests.Count} rows", () => writer.WriteAsync(requests, sampling, seed, cancellationToken), cancellationToken));
        if (rows is null || rows.Count != requests.Count)
            throw new InputException($"{who} returned {(rows is null ? "nothing (null)" : $"{rows.Count} rows")} for {requests.Count}: it must return one for each, in their order.");
        for (var row = 0; row < rows.Count; row++)
            if (rows[row].SampledLogProbs.Length != rows[row].Tokens.Length)
                throw new InputException($"{who} gave {rows[row].SampledLogProbs.Length} log-probabilities to the {rows[row].Tokens.Length} tokens of row {row + 1} of {rows.Count}: there must be one for each.");
        return rows;
    }

    /// <summary>Tells a writer that the policy's weights have changed, and waits.</summary>
    /// <exception cref="InputException">The writer failed.</exception>
    public static void Update(ITextWriter writer, CancellationToken cancellationToken) => OwnCode.Wait(() => OwnCode.RunAsync($"the writer '{writer.Name}'", "new weights", async () =>
    {
        await writer.WeightsChangedAsync(cancellationToken).ConfigureAwait(false);
        return true;
    }, cancellationToken));
}
