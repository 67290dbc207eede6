namespace Rlgf.Supervised;

/// <summary>Pairs to whose preferred answer the scores give a like probability.</summary>
/// <param name="AtLeast">The bin's lower end.</param>
/// <param name="AtMost">The bin's upper end.</param>
/// <param name="Pairs">How many are in it.</param>
/// <param name="Confidence">Their mean probability; NaN of none.</param>
/// <param name="Accuracy">How often the answer with the higher score is the chosen one; NaN of none.</param>
public sealed record CalibrationBin(double AtLeast, double AtMost, int Pairs, double Confidence, double Accuracy);

/// <summary>Whether the scores of pairs can be taken at their word: σ of their difference is the probability that a Bradley–Terry model gives to the answer with the higher one.</summary>
/// <param name="Bins">Bins of equal width from 0.5 to 1.</param>
/// <param name="Error">Mean distance of probability and share over all pairs, bin by bin (Guo et al., "On calibration of modern neural networks", 2017, equation 3).</param>
public sealed record PairCalibration(IReadOnlyList<CalibrationBin> Bins, double Error)
{
    /// <summary>Measures it. A pair with equal scores counts as half a hit: the scores name no answer.</summary>
    /// <param name="chosen">Scores of the preferred answers.</param>
    /// <param name="rejected">Scores of the others, pair by pair.</param>
    /// <param name="bins">How many bins.</param>
    public static PairCalibration Of(IReadOnlyList<double> chosen, IReadOnlyList<double> rejected, int bins)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bins, 1);
        var (count, confidence, right) = (new int[bins], new double[bins], new double[bins]);
        for (var i = 0; i < chosen.Count; i++)
        {
            var ahead = chosen[i] - rejected[i];
            var probability = 1 / (1 + Math.Exp(-Math.Abs(ahead)));
            var bin = Math.Min(bins - 1, (int)((probability - 0.5) * 2 * bins));
            count[bin]++;
            confidence[bin] += probability;
            right[bin] += ahead > 0 ? 1 : ahead == 0 ? 0.5 : 0;
        }

        return new(
            [.. Enumerable.Range(0, bins).Select(bin => new CalibrationBin(0.5 + (0.5 * bin / bins), 0.5 + (0.5 * (bin + 1) / bins), count[bin], confidence[bin] / count[bin], right[bin] / count[bin]))],
            // |right/n − confidence/n| weighted by n/N: the bin's count n cancels.
            right.Zip(confidence, (hits, sum) => Math.Abs(hits - sum)).Sum() / Math.Max(1, chosen.Count));
    }
}
