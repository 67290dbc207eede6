using Rlgf.Distributed;
using Rlgf.Models.Tensors;
using Rlgf.Rollouts;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>What the models say of an iteration's rows before the update; constants.</summary>
/// <param name="Policy">[B, A] float32: log π_θ of the policy's tokens.</param>
/// <param name="Reference">[B, A] float32: log π_0 of them.</param>
/// <param name="Values">[B, A] float32, or [B, A + 1] with the value after a row's last token; null without a critic.</param>
internal sealed record ReadRows(Tensor Policy, Tensor Reference, Tensor? Values)
{
    /// <summary>Reads all rows, each rank those of its groups.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="batch">B rows.</param>
    /// <param name="valuesAfterLast">Whether values have one column more.</param>
    /// <param name="read">Reads some rows.</param>
    public static ReadRows Of(ICommunicator ranks, RolloutBatch batch, bool valuesAfterLast, Func<RolloutBatch, ReadRows> read)
    {
        if (ranks.Size == 1) return read(batch);
        var (device, steps) = (batch.Tokens.device, (int)batch.Tokens.size(1));
        var widthOfValues = steps + (valuesAfterLast ? 1 : 0);
        var rows = Dealt.Of(ranks, [.. batch.Rollouts.Select(rollout => rollout.Group)], Own, (writer, row) => Array.ForEach((float[]?[])[row.Policy, row.Reference, row.Values], numbers =>
        {
            writer.Write(numbers is not null);
            if (numbers is not null) RowBytes.WriteList(writer, numbers, writer.Write);
        }), reader =>
        {
            float[]? Next() => reader.ReadBoolean() ? RowBytes.ReadList(reader, reader.ReadSingle) : null;
            return (Policy: Next()!, Reference: Next()!, Values: Next());
        });
        return new(Whole(rows.Select(row => row.Policy), steps), Whole(rows.Select(row => row.Reference), steps), rows[0].Values is null ? null : Whole(rows.Select(row => row.Values!), widthOfValues));

        IReadOnlyList<(float[] Policy, float[] Reference, float[]? Values)> Own(int[] places)
        {
            using var scope = NewDisposeScope();
            var own = read(RolloutBatch.From([.. places.Select(place => batch.Rollouts[place])], device));
            var (policy, reference, values) = (Rows(own.Policy), Rows(own.Reference), own.Values is null ? null : Rows(own.Values));
            return [.. places.Select((_, i) => (policy[i], reference[i], values?[i]))];
        }

        // The rows of one rank may all be shorter than the longest; beyond a row's own length nothing is read.
        Tensor Whole(IEnumerable<float[]> parts, int width) =>
            tensor(parts.SelectMany(part => part.Concat(new float[width - part.Length])).ToArray(), [batch.Rollouts.Count, width], device: device);
    }

    private static float[][] Rows(Tensor matrix) => [.. matrix.HostArray<float>().Chunk((int)matrix.size(1))];
}
