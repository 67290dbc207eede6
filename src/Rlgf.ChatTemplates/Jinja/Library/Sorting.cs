namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Python's <c>sorted()</c>: equal elements stay in order, also backwards.</summary>
internal static class Sorting
{
    /// <summary>Elements in the order of their keys.</summary>
    public static List<object?> By(IEnumerable<object?> items, Func<object?, object?> key, bool isReversed, Rendering rendering)
    {
        var keyed = items.Select(item => (Key: key(item), Item: item)).ToArray();
        if (isReversed)
            Array.Reverse(keyed);
        keyed = Sorted(keyed);
        if (isReversed)
            Array.Reverse(keyed);
        return [.. keyed.Select(pair => pair.Item)];

        (object? Key, object? Item)[] Sorted((object? Key, object? Item)[] pairs)
        {
            if (pairs.Length < 2)
                return pairs;
            var (left, right) = (Sorted(pairs[..(pairs.Length / 2)]), Sorted(pairs[(pairs.Length / 2)..]));
            var merged = new (object? Key, object? Item)[pairs.Length];
            for (int i = 0, l = 0, r = 0; i < merged.Length; i++)
            {
                rendering.Step();
                var takesRight = l == left.Length || (r < right.Length && Equality.IsOrdered("<", right[r].Key, left[l].Key));
                merged[i] = takesRight ? right[r++] : left[l++];
            }
            return merged;
        }
    }
}
