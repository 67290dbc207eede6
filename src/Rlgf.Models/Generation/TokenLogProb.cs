using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Generation;

/// <summary>A token with its natural log-probability under the model's own distribution (softmax of the raw logits).</summary>
/// <param name="Id">Its id.</param>
/// <param name="LogProb">In nats.</param>
public readonly record struct TokenLogProb(int Id, float LogProb)
{
    /// <summary>The most likely tokens of each row.</summary>
    /// <param name="logProbs">[N, V] float32.</param>
    /// <param name="count">How many.</param>
    /// <returns>N lists, the most likely first.</returns>
    internal static TokenLogProb[][] MostLikely(Tensor logProbs, int count)
    {
        using var scope = NewDisposeScope();
        count = (int)Math.Min(count, logProbs.size(1));
        var (values, ids) = logProbs.topk(count);
        var (hostValues, hostIds) = (MemoryMarshal.Cast<byte, float>(values.cpu().contiguous().bytes).ToArray(), MemoryMarshal.Cast<byte, long>(ids.cpu().contiguous().bytes).ToArray());
        return [.. hostValues.Zip(hostIds, (value, id) => new TokenLogProb((int)id, value)).Chunk(count)];
    }
}
