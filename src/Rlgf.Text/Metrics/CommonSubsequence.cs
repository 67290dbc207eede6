namespace Rlgf.Text.Metrics;

/// <summary>The longest common subsequence of two lists of words.</summary>
internal static class CommonSubsequence
{
    /// <summary>Its length.</summary>
    public static int Length(IReadOnlyList<string> first, IReadOnlyList<string> second)
    {
        var (before, row) = (new int[second.Count + 1], new int[second.Count + 1]);
        foreach (var word in first)
        {
            for (var j = 1; j <= second.Count; j++) row[j] = word == second[j - 1] ? before[j - 1] + 1 : Math.Max(before[j], row[j - 1]);
            (before, row) = (row, before);
        }

        return before[second.Count];
    }

    /// <summary>Which words of the first list are in it. Of several equally long ones, that which a walk from the end finds that goes back in the first list unless only the second leads on.</summary>
    public static List<int> Places(IReadOnlyList<string> first, IReadOnlyList<string> second)
    {
        var table = new int[first.Count + 1, second.Count + 1];
        for (var a = 1; a <= first.Count; a++)
            for (var b = 1; b <= second.Count; b++)
                table[a, b] = first[a - 1] == second[b - 1] ? table[a - 1, b - 1] + 1 : Math.Max(table[a - 1, b], table[a, b - 1]);
        var places = new List<int>();
        var (i, j) = (first.Count, second.Count);
        while (i > 0 && j > 0)
        {
            if (first[i - 1] == second[j - 1])
            {
                places.Add(--i);
                j--;
            }
            else if (table[i, j - 1] > table[i - 1, j])
            {
                j--;
            }
            else
            {
                i--;
            }
        }

        return places;
    }
}
