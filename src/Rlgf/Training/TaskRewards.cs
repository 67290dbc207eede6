using Rlgf.Rewards;
using Rlgf.Rollouts;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>From scores to rewards of tokens.</summary>
internal static class TaskRewards
{
    /// <summary>[B, A] float32: the score on the last token, whoever wrote it, and dense rewards where there are any.</summary>
    public static Tensor PerToken(RolloutBatch batch, IReadOnlyList<RewardScore> scores)
    {
        int rows = batch.Rollouts.Count, steps = (int)batch.Tokens.size(1);
        var rewards = new float[rows * steps];
        for (var row = 0; row < rows; row++)
        {
            var length = batch.Rollouts[row].Tokens.Length;
            if (scores[row].PerToken is { } dense)
                dense.CopyTo(rewards, row * steps);
            if (length > 0) rewards[row * steps + length - 1] += (float)scores[row].Total;
        }
        return tensor(rewards, device: batch.Tokens.device).reshape(rows, steps);
    }
}
