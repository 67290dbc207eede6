using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Generation;

/// <summary>
/// Draws one entry of each row from given uniform numbers by inverting the cumulative distribution (inverse transform sampling), in two stages: first a block of
/// entries by the sums of the blocks, then an entry of that block. Sums are kept in double precision, so that neither a long vocabulary nor its order
/// costs a rare token its probability, and an entry of probability 0 is never drawn.
/// </summary>
internal static class InverseTransform
{
    private const int BlockSize = 128;

    /// <summary>Draws.</summary>
    /// <param name="probabilities">[B, C] float32, each row's sum about 1.</param>
    /// <param name="uniforms">B numbers in [0, 1).</param>
    /// <param name="chosen">B: receives the entries, or −1 where a row's probabilities have no positive, finite sum.</param>
    /// <param name="logProbs">B: receives the natural logarithms of the entries' probabilities.</param>
    public static void Draw(Tensor probabilities, ReadOnlySpan<double> uniforms, Span<int> chosen, Span<double> logProbs)
    {
        using var scope = NewDisposeScope();
        var rows = uniforms.Length;
        var count = (int)probabilities.size(1);
        var sums = HostArray(BlockSums(probabilities));
        var blocks = sums.Length / rows;

        var targets = new double[rows];
        var totals = new double[rows];
        var entries = new long[rows * BlockSize];
        for (var row = 0; row < rows; row++)
        {
            ReadOnlySpan<float> rowSums = sums.AsSpan(row * blocks, blocks);
            totals[row] = Sum(rowSums);
            chosen[row] = double.IsFinite(totals[row]) ? Find(rowSums, uniforms[row] * totals[row], out targets[row]) : -1;
            var first = Math.Max(chosen[row], 0) * BlockSize;
            for (var i = 0; i < BlockSize; i++)
            {
                entries[(row * BlockSize) + i] = Math.Min(first + i, count - 1);
            }
        }

        var inBlocks = HostArray(probabilities.gather(1, tensor(entries, rows, BlockSize, device: probabilities.device)));
        for (var row = 0; row < rows; row++)
        {
            if (chosen[row] < 0)
            {
                continue;
            }

            var first = chosen[row] * BlockSize;
            ReadOnlySpan<float> block = inBlocks.AsSpan(row * BlockSize, Math.Min(BlockSize, count - first));
            // The block's sum in single and in double precision differ a little: the target keeps its place in proportion.
            var entry = Find(block, targets[row] * Sum(block), out _);
            chosen[row] = first + entry;
            logProbs[row] = Math.Log(block[entry] / totals[row]);
        }
    }

    /// <summary>[B, C] to [B, ⌈C / block⌉]: the last block may be shorter.</summary>
    private static Tensor BlockSums(Tensor probabilities)
    {
        var rows = probabilities.size(0);
        var count = probabilities.size(1);
        var whole = count / BlockSize * BlockSize;
        var rest = probabilities.narrow(1, whole, count - whole).sum(1, keepdim: true);
        if (whole == 0)
        {
            return rest;
        }

        var sums = probabilities.narrow(1, 0, whole).unflatten(1, whole / BlockSize, BlockSize).sum(2);
        return whole == count ? sums : cat([sums, rest], 1);
    }

    /// <summary>The first entry with which the running sum exceeds the target, and how far into the entry the target lies, from 0 to 1; −1 where no entry is positive.</summary>
    private static int Find(ReadOnlySpan<float> masses, double target, out double within)
    {
        var sum = 0.0;
        var lastPositive = -1;
        for (var i = 0; i < masses.Length; i++)
        {
            if (masses[i] <= 0)
            {
                continue;
            }

            if (sum + masses[i] > target)
            {
                within = (target - sum) / masses[i];
                return i;
            }

            sum += masses[i];
            lastPositive = i;
        }

        // Only rounding leads here: the target lies at the very end of the last entry.
        within = Math.BitDecrement(1.0);
        return lastPositive;
    }

    private static double Sum(ReadOnlySpan<float> values)
    {
        var sum = 0.0;
        foreach (var value in values)
        {
            sum += value;
        }

        return sum;
    }

    private static float[] HostArray(Tensor values) => MemoryMarshal.Cast<byte, float>(values.cpu().contiguous().bytes).ToArray();
}
