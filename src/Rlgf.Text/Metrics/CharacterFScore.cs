using System.Collections.Frozen;

namespace Rlgf.Text.Metrics;

/// <summary>How chrF is computed; the defaults are sacreBLEU's.</summary>
public sealed record CharacterFSettings
{
    /// <summary>The longest n-grams of characters.</summary>
    public int CharacterOrder { get; init; } = 6;

    /// <summary>The longest n-grams of words: 0 for chrF, 2 for chrF++.</summary>
    public int WordOrder { get; init; }

    /// <summary>β: how many times recall counts as much as precision.</summary>
    public double Beta { get; init; } = 2;

    /// <summary>Whether texts are lower-cased first.</summary>
    public bool Lowercase { get; init; }

    /// <summary>Whether white space counts as characters.</summary>
    public bool WhiteSpace { get; init; }

    /// <summary>Whether the mean is of each order's F over all orders, rather than F of the means over the orders that both texts have.</summary>
    public bool EpsilonSmoothing { get; init; }

    /// <summary>Number of orders.</summary>
    internal int Orders => CharacterOrder + WordOrder;
}

/// <summary>chrF and chrF++, 0 to 100: F of the n-grams of characters, and of words. A character is a code point.</summary>
/// <remarks>Popović 2015 (W15-3049) and 2017 (W17-4770), as Post 2018 (arXiv 1804.08771) computes them.</remarks>
public static class CharacterFScore
{
    private const double Epsilon = 1e-16;
    private static readonly FrozenSet<char> Punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".ToFrozenSet();

    /// <summary>What a text contributes: of each order the n-grams of the text, those of its reference, and the matches. Those of a corpus are the sums.</summary>
    /// <param name="text">The text.</param>
    /// <param name="references">Its references, at least one; the one with the highest F gives the numbers, the first of equals.</param>
    /// <param name="settings">How it is computed.</param>
    public static double[] Statistics(string text, IReadOnlyList<string> references, CharacterFSettings settings)
    {
        if (references.Count == 0) throw new ArgumentException("chrF needs a reference", nameof(references));
        var own = Counts(text, settings);
        var (best, highest) = (Array.Empty<double>(), -1.0);
        foreach (var reference in references)
        {
            var statistics = Compare(own, Counts(reference, settings));
            if (Of(statistics, settings) is var score && score > highest) (best, highest) = (statistics, score);
        }

        return best;
    }

    /// <summary>The score of statistics or of their sum.</summary>
    public static double Of(ReadOnlySpan<double> statistics, CharacterFSettings settings)
    {
        var square = settings.Beta * settings.Beta;
        double precisions = 0, recalls = 0, scores = 0;
        var both = 0;
        for (var order = 0; order < settings.Orders; order++)
        {
            var (own, reference, matches) = (statistics[3 * order], statistics[3 * order + 1], statistics[3 * order + 2]);
            var (precision, recall) = (own > 0 ? matches / own : Epsilon, reference > 0 ? matches / reference : Epsilon);
            scores += FScore(precision, recall, square, Epsilon);
            if (own == 0 || reference == 0) continue;
            (precisions, recalls, both) = (precisions + precision, recalls + recall, both + 1);
        }

        if (settings.EpsilonSmoothing) return 100 * scores / settings.Orders;
        return both == 0 ? 0 : 100 * FScore(precisions / both, recalls / both, square, 0);
    }

    private static double FScore(double precision, double recall, double square, double otherwise) =>
        square * precision + recall is > 0 and var sum ? (1 + square) * precision * recall / sum : otherwise;

    private static double[] Compare(Dictionary<string, int>[] own, Dictionary<string, int>[] reference)
    {
        var statistics = new double[3 * own.Length];
        for (var order = 0; order < own.Length; order++)
        {
            // N-grams of an order that the reference is too short for don't count against the text.
            statistics[3 * order] = reference[order].Count > 0 ? own[order].Values.Sum() : 0;
            statistics[3 * order + 1] = reference[order].Values.Sum();
            statistics[3 * order + 2] = NgramCounts.Matches(own[order], reference[order]);
        }

        return statistics;
    }

    private static Dictionary<string, int>[] Counts(string text, CharacterFSettings settings)
    {
        if (settings.Lowercase) text = PythonText.Lower(text);
        var characters = settings.WhiteSpace ? text : string.Concat(PythonText.Split(text));
        // Where each code point begins, and the end.
        var starts = new List<int>(characters.Length + 1);
        for (var at = 0; at < characters.Length; at++) if (at == 0 || !char.IsSurrogatePair(characters[at - 1], characters[at])) starts.Add(at);
        starts.Add(characters.Length);
        var counts = new Dictionary<string, int>[settings.Orders];
        for (var n = 1; n <= settings.CharacterOrder; n++)
        {
            counts[n - 1] = new(StringComparer.Ordinal);
            var known = counts[n - 1].GetAlternateLookup<ReadOnlySpan<char>>();
            for (var first = 0; first + n < starts.Count; first++)
                System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(known, characters.AsSpan(starts[first]..starts[first + n]), out _)++;
        }

        if (settings.WordOrder == 0) return counts;
        var words = PythonText.Split(text).SelectMany(SplitPunctuation).ToArray();
        for (var n = 1; n <= settings.WordOrder; n++) counts[settings.CharacterOrder + n - 1] = NgramCounts.Of(words, n);
        return counts;
    }

    /// <summary>A punctuation mark at the end is a word of its own, or else one at the beginning.</summary>
    private static IEnumerable<string> SplitPunctuation(string word)
    {
        if (word.Length == 1 || (word.Length == 2 && char.IsSurrogate(word[0]))) return [word];
        if (Punctuation.Contains(word[^1])) return [word[..^1], word[^1..]];
        return Punctuation.Contains(word[0]) ? [word[..1], word[1..]] : [word];
    }
}
