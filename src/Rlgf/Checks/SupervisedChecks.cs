using System.Runtime.InteropServices;
using Rlgf.Models;
using Rlgf.Supervised;

namespace Rlgf.Checks;

/// <summary>Looks at what a supervised training would learn from and be measured on for what would not stop it but spoil it.</summary>
public static class SupervisedChecks
{
    /// <summary>All checks of rows for a language model.</summary>
    /// <param name="training">The rows to learn from.</param>
    /// <param name="heldOut">The rows to measure on.</param>
    public static IReadOnlyList<Finding> Of(IReadOnlyList<TokenRow> training, IReadOnlyList<TokenRow> heldOut) =>
        [.. new[] { Learned(training.Select(row => Key(row.Prompt, row.Response)), heldOut.Select(row => Key(row.Prompt, row.Response))) }.OfType<Finding>()];

    /// <summary>All checks of texts for a classifier.</summary>
    /// <param name="training">The texts to learn from.</param>
    /// <param name="heldOut">The texts to measure on.</param>
    /// <param name="labels">Names of the labels.</param>
    public static IReadOnlyList<Finding> Of(IReadOnlyList<LabelledText> training, IReadOnlyList<LabelledText> heldOut, IReadOnlyList<string> labels) =>
        [.. new[] { LabelsWithoutTexts(training, labels), Learned(training.Select(text => Key(text.Tokens)), heldOut.Select(text => Key(text.Tokens))) }.OfType<Finding>()];

    /// <summary>All checks of pairs for a reward model.</summary>
    /// <param name="training">The pairs to learn from.</param>
    /// <param name="heldOut">The pairs to measure on.</param>
    public static IReadOnlyList<Finding> Of(IReadOnlyList<PairOfAnswers> training, IReadOnlyList<PairOfAnswers> heldOut) =>
        [.. new[] { Learned(training.Select(pair => Key(pair.Chosen, pair.Rejected)), heldOut.Select(pair => Key(pair.Chosen, pair.Rejected))) }.OfType<Finding>()];

    /// <summary>All checks of pairs for a language model.</summary>
    /// <param name="training">The pairs to learn from.</param>
    /// <param name="heldOut">The pairs to measure on.</param>
    public static IReadOnlyList<Finding> Of(IReadOnlyList<PreferenceRows> training, IReadOnlyList<PreferenceRows> heldOut)
    {
        return [.. new[] { Learned(training.Select(Words), heldOut.Select(Words)) }.OfType<Finding>()];

        static string Words(PreferenceRows pair) => Key(pair.Chosen.Prompt, pair.Chosen.Response, pair.Rejected.Response);
    }

    /// <summary>Labels of which there is no text to learn from.</summary>
    public static Finding? LabelsWithoutTexts(IReadOnlyList<LabelledText> training, IReadOnlyList<string> labels)
    {
        var seen = training.Select(text => text.Label).ToHashSet();
        if (seen.Count < 2) return null; // Said by the training too, and as an error here.
        var missing = labels.Where((_, label) => !seen.Contains(label)).ToArray();
        return missing.Length == 0 ? null
            : new(Severity.Warning, $"no text to learn from has the label{(missing.Length > 1 ? "s" : "")} {string.Join(", ", missing.Select(label => $"'{label}'"))}: nothing will be learned of it; look at data.filter and data.limit, as files may be sorted by label");
    }

    /// <summary>Held-out rows that are learned too.</summary>
    private static Finding? Learned(IEnumerable<string> training, IEnumerable<string> heldOut)
    {
        var learned = training.ToHashSet();
        var measured = heldOut.ToArray();
        var known = measured.Count(learned.Contains);
        return known == 0 ? null : new(Severity.Warning, $"{known} of {measured.Length} held-out rows are among those to learn from, word for word: what is measured says too little of new texts; hold out texts of another file, or leave out what is there twice");
    }

    /// <summary>Tokens as a text that can be compared.</summary>
    private static string Key(params int[][] parts) => string.Join('|', parts.Select(part => new string(MemoryMarshal.Cast<int, char>((ReadOnlySpan<int>)part))));
}
