using System.Globalization;
using Rlgf.Composition;
using Rlgf.Statistics;
using Rlgf.Supervised;

namespace Rlgf.App.Commands;

/// <summary>What was measured on a reward model, in a few lines.</summary>
internal static class AssessmentLines
{
    /// <summary>Of one model.</summary>
    public static IEnumerable<string> Of(RewardModelAssessment assessment)
    {
        yield return $"right on {Text(assessment.Accuracy)} of {assessment.Accuracy.Count} held-out pairs, and on {Text(assessment.LengthMatchedAccuracy)} of the {assessment.LengthMatchedAccuracy.Count} whose answers are of like length; "
            + $"the longer answer is the chosen one in {Text(assessment.LongerIsChosen)}";
        yield return Invariant($"score and length correlate by {Text(assessment.LengthCorrelation)}, and by {Text(assessment.LengthCorrelationWithinPairs)} within pairs; calibration error {assessment.Calibration.Error:0.000}");
        if (assessment.Normalisation is { } scores) yield return Invariant($"normalised by the mean {scores.Mean:0.000} and the deviation {scores.Deviation:0.000} of the training answers");
    }

    /// <summary>Of an ensemble.</summary>
    public static IEnumerable<string> Of(EnsembleAssessment assessment)
    {
        yield return $"members are right on {string.Join(", ", assessment.Members.Select(Text))} of {assessment.Mean.Count} held-out pairs; their mean on {Text(assessment.Mean)}, the least on {Text(assessment.Minimum)}, "
            + $"the mean less a deviation on {Text(assessment.MeanMinusDeviation)}";
        yield return $"they differ by {Text(assessment.DeviationWhereRight)} where their mean is right and by {Text(assessment.DeviationWhereWrong)} where it is wrong";
    }

    private static string Text(Interval share) => share.Count == 0 ? "none" : Invariant($"{share.Mean:0.000} [{share.Low:0.000}, {share.High:0.000}]");

    private static string Text(double number) => double.IsNaN(number) ? "nothing that can be said" : Invariant($"{number:0.000}");

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
