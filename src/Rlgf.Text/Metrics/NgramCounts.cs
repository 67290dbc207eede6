using System.Runtime.InteropServices;

namespace Rlgf.Text.Metrics;

/// <summary>How often each n-gram of a text's tokens occurs.</summary>
internal static class NgramCounts
{
    // Tokens never hold a space, so that no two n-grams are joined to the same key.
    private const char Separator = ' ';

    /// <summary>Counts n-grams.</summary>
    /// <param name="tokens">Tokens without spaces in them.</param>
    /// <param name="n">Tokens per n-gram, 1 or more.</param>
    /// <returns>By the tokens joined with a space.</returns>
    public static Dictionary<string, int> Of(IReadOnlyList<string> tokens, int n)
    {
        var total = Math.Max(0, tokens.Count - n + 1);
        var counts = new Dictionary<string, int>(total, StringComparer.Ordinal);
        if (total == 0) return counts;
        if (n == 1)
        {
            foreach (var token in tokens) CollectionsMarshal.GetValueRefOrAddDefault(counts, token, out _)++;
            return counts;
        }

        // Each n-gram is a stretch of the joined tokens.
        var joined = string.Join(Separator, tokens);
        var known = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        var (start, end) = (0, -1);
        for (var i = 0; i < n; i++) end += tokens[i].Length + 1;
        for (var first = 0; ; first++)
        {
            CollectionsMarshal.GetValueRefOrAddDefault(known, joined.AsSpan(start, end - start), out _)++;
            if (first + n >= tokens.Count) return counts;
            start += tokens[first].Length + 1;
            end += tokens[first + n].Length + 1;
        }
    }

    /// <summary>Σ min of two counts: the matches, clipped.</summary>
    public static int Matches(Dictionary<string, int> of, Dictionary<string, int> among)
    {
        var matches = 0;
        foreach (var (ngram, count) in of) if (among.TryGetValue(ngram, out var other)) matches += Math.Min(count, other);
        return matches;
    }
}
