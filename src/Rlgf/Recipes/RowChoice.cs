using Rlgf.Text.Data;

namespace Rlgf.Recipes;

/// <summary>Which rows of a file are used: the same keys, by one rule, in every section that reads some.</summary>
internal static class RowChoice
{
    /// <summary>What is wrong with them, by key.</summary>
    public static IEnumerable<(string Key, string Problem)> Problems(string? filter, int? limit, int? sample, ulong sampleSeed)
    {
        if (sample is not null && limit is not null) yield return ("sample", "draws rows, and limit takes the first ones; use one of them");
        if (sample is null && sampleSeed != 0) yield return ("sample_seed", "is for sample, which is not set");
        if (RowFilter.Problem(filter) is { } problem) yield return ("filter", problem);
    }
}
