using System.Text.RegularExpressions;

namespace Rlgf.Text.Metrics;

/// <summary>Precision, recall and their harmonic mean, 0 to 1.</summary>
/// <param name="Precision">Share of the text that its reference has.</param>
/// <param name="Recall">Share of the reference that the text has.</param>
public readonly record struct Overlap(double Precision, double Recall)
{
    /// <summary>Harmonic mean; 0 where both are 0.</summary>
    public double FMeasure => Precision + Recall > 0 ? 2 * Precision * Recall / (Precision + Recall) : 0;

    /// <summary>Of counts; 0 where there is nothing to match.</summary>
    internal static Overlap Of(int matches, int own, int reference) => new(matches / (double)Math.Max(1, own), matches / (double)Math.Max(1, reference));
}

/// <summary>ROUGE as the library rouge_score computes it: words are runs of a–z and 0–9 of the lower-cased text.</summary>
/// <remarks>Lin 2004 (ACL W04-1013).</remarks>
public static partial class Rouge
{
    private const int LongestUnstemmed = 3;

    /// <summary>ROUGE-N: n-grams that both have.</summary>
    /// <param name="text">The text.</param>
    /// <param name="references">Its references, at least one; the one with the highest F counts, the first of equals.</param>
    /// <param name="n">Words per n-gram.</param>
    /// <param name="stem">Whether words of more than three characters are compared by their stems.</param>
    public static Overlap Ngrams(string text, IReadOnlyList<string> references, int n, bool stem)
    {
        var tokens = Tokens(text, stem);
        var own = NgramCounts.Of(tokens, n);
        return Best(references, reference =>
        {
            var other = Tokens(reference, stem);
            return Overlap.Of(NgramCounts.Matches(own, NgramCounts.Of(other, n)), Math.Max(0, tokens.Count - n + 1), Math.Max(0, other.Count - n + 1));
        });
    }

    /// <summary>ROUGE-L: the longest common subsequence of the whole texts.</summary>
    /// <param name="text">The text.</param>
    /// <param name="references">As in <see cref="Ngrams"/>.</param>
    /// <param name="stem">As in <see cref="Ngrams"/>.</param>
    public static Overlap Longest(string text, IReadOnlyList<string> references, bool stem)
    {
        var tokens = Tokens(text, stem);
        return Best(references, reference =>
        {
            var other = Tokens(reference, stem);
            return Overlap.Of(CommonSubsequence.Length(other, tokens), tokens.Count, other.Count);
        });
    }

    /// <summary>ROUGE-Lsum: the union of the longest common subsequences of each line of a reference with all lines of the text. A word counts while both texts still have it.</summary>
    /// <param name="text">The text; its lines are its sentences.</param>
    /// <param name="references">As in <see cref="Ngrams"/>.</param>
    /// <param name="stem">As in <see cref="Ngrams"/>.</param>
    public static Overlap LongestByLine(string text, IReadOnlyList<string> references, bool stem)
    {
        var lines = Lines(text, stem);
        return Best(references, reference => ByLine(lines, Lines(reference, stem)));
    }

    /// <summary>The words that are compared.</summary>
    internal static IReadOnlyList<string> Tokens(string text, bool stem)
    {
        var words = new List<string>();
        var lower = PythonText.Lower(text);
        foreach (var match in Word().EnumerateMatches(lower))
        {
            var word = lower.Substring(match.Index, match.Length);
            words.Add(stem && word.Length > LongestUnstemmed ? PorterStemmer.Stem(word) : word);
        }

        return words;
    }

    private static IReadOnlyList<string>[] Lines(string text, bool stem) => [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => Tokens(line, stem))];

    private static Overlap ByLine(IReadOnlyList<string>[] own, IReadOnlyList<string>[] reference)
    {
        var (left, leftOfReference) = (NgramCounts.Of([.. own.SelectMany(line => line)], 1), NgramCounts.Of([.. reference.SelectMany(line => line)], 1));
        var matches = 0;
        foreach (var line in reference)
        {
            var union = new SortedSet<int>();
            foreach (var other in own) union.UnionWith(CommonSubsequence.Places(line, other));
            foreach (var at in union)
            {
                var word = line[at];
                if (left.GetValueOrDefault(word) == 0 || leftOfReference[word] == 0) continue;
                matches++;
                left[word]--;
                leftOfReference[word]--;
            }
        }

        return Overlap.Of(matches, own.Sum(line => line.Count), reference.Sum(line => line.Count));
    }

    private static Overlap Best(IReadOnlyList<string> references, Func<string, Overlap> compare)
    {
        if (references.Count == 0) throw new ArgumentException("ROUGE needs a reference", nameof(references));
        return references.Select(compare).MaxBy(overlap => overlap.FMeasure);
    }

    [GeneratedRegex("[a-z0-9]+")]
    private static partial Regex Word();
}
