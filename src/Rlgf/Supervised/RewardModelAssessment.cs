using Rlgf.Models.Loading;
using Rlgf.Statistics;

namespace Rlgf.Supervised;

/// <summary>A held-out pair with its scores.</summary>
/// <param name="Chosen">Score of the preferred answer, the model's output as it is.</param>
/// <param name="Rejected">Score of the other.</param>
/// <param name="ChosenTokens">Length of the preferred answer, without its prompt.</param>
/// <param name="RejectedTokens">Length of the other.</param>
public readonly record struct PairScore(double Chosen, double Rejected, int ChosenTokens, int RejectedTokens);

/// <summary>How far a reward model can be trusted: what was measured on held-out pairs.</summary>
/// <param name="Accuracy">How often the chosen answer has the higher score, with Wilson's interval; equal scores are no hit.</param>
/// <param name="LongerIsChosen">How often the chosen answer is the longer one, among pairs of different lengths: what a model must beat that has learned nothing but length.</param>
/// <param name="LengthMatchedAccuracy">The accuracy among pairs whose lengths differ by at most a tenth of the longer one: what is left where length tells nothing.</param>
/// <param name="LengthCorrelation">Pearson's correlation of score and length over all answers; NaN where one of the two is the same for all.</param>
/// <param name="LengthCorrelationWithinPairs">That of the difference of the scores and the difference of the lengths, in which the prompts fall out.</param>
/// <param name="Calibration">Whether its probabilities can be taken at their word.</param>
/// <param name="Normalisation">What its scores are normalised by; null where they aren't.</param>
public sealed record RewardModelAssessment(
    Interval Accuracy, Interval LongerIsChosen, Interval LengthMatchedAccuracy, double LengthCorrelation, double LengthCorrelationWithinPairs, PairCalibration Calibration, ScoreNormalisation? Normalisation)
{
    /// <summary>Lengths that differ by no more than this share of the longer one count as equal.</summary>
    private const double LengthTolerance = 0.1;

    /// <summary>Measures it.</summary>
    /// <param name="pairs">Held-out pairs with their scores.</param>
    /// <param name="normalisation">What the scores will be normalised by; it changes none of the figures.</param>
    public static RewardModelAssessment Of(IReadOnlyList<PairScore> pairs, ScoreNormalisation? normalisation)
    {
        var unequal = pairs.Where(pair => pair.ChosenTokens != pair.RejectedTokens).ToArray();
        var matched = pairs.Where(pair => Math.Abs(pair.ChosenTokens - pair.RejectedTokens) <= LengthTolerance * Math.Max(pair.ChosenTokens, pair.RejectedTokens)).ToArray();
        double[] chosen = [.. pairs.Select(pair => pair.Chosen)], rejected = [.. pairs.Select(pair => pair.Rejected)];
        return new(
            Right(pairs),
            Interval.OfShare(unequal.Count(pair => pair.ChosenTokens > pair.RejectedTokens), unequal.Length),
            Right(matched),
            Correlation.Pearson([.. chosen, .. rejected], [.. pairs.Select(pair => (double)pair.ChosenTokens), .. pairs.Select(pair => (double)pair.RejectedTokens)]),
            Correlation.Pearson([.. pairs.Select(pair => pair.Chosen - pair.Rejected)], [.. pairs.Select(pair => (double)pair.ChosenTokens - pair.RejectedTokens)]),
            PairCalibration.Of(chosen, rejected, RewardModelTraining.Bins),
            normalisation);
    }

    /// <summary>What scores are normalised by: their mean and deviation. Where all are equal nothing is divided.</summary>
    /// <param name="scores">Scores of the answers to the training prompts.</param>
    public static ScoreNormalisation NormalisationOf(IReadOnlyCollection<double> scores) => new(scores.Average(), Spread.IsNone(scores) ? 1 : Spread.Deviation(scores));

    private static Interval Right(IReadOnlyCollection<PairScore> pairs) => Interval.OfShare(pairs.Count(pair => pair.Chosen > pair.Rejected), pairs.Count);
}
