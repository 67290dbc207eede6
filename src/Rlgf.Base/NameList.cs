namespace Rlgf.Base;

/// <summary>Lists in messages, which a foreign or damaged file can make as long as it likes.</summary>
public static class NameList
{
    /// <summary>The first few of some names or sentences, and how many more there are.</summary>
    /// <param name="items">All of them.</param>
    /// <param name="most">The most that are shown; above 0.</param>
    /// <param name="separator">What stands between two.</param>
    /// <param name="what">What is said of those that are left out, after their number; nothing where empty.</param>
    public static string Of(IReadOnlyCollection<string> items, int most = 6, string separator = ", ", string what = "")
    {
        ArgumentNullException.ThrowIfNull(items);
        if (items.Count <= most) return string.Join(separator, items);
        var rest = $"and {items.Count - most} more";
        return string.Join(separator, [.. items.Take(most), what.Length == 0 ? rest : $"{rest} {what}"]);
    }
}
