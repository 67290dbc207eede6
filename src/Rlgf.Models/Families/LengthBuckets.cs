namespace Rlgf.Models.Families;

/// <summary>Puts rows of like length together, so that little of what is read is padding.</summary>
/// <param name="contextLength">The most columns of a row.</param>
/// <param name="passCost">What a pass costs beside its tokens, in tokens.</param>
internal sealed class LengthBuckets(int contextLength, int passCost)
{
    /// <summary>Columns are a multiple of 8, and rows too where others follow: oneDNN compiles a product for each new shape and keeps it, so that few shapes are quicker and take less memory than many.</summary>
    private const int Multiple = 8;

    /// <summary>How many columns a pass has.</summary>
    /// <param name="longest">Tokens of its longest row.</param>
    /// <param name="contextLength">The most that there may be.</param>
    public static int Columns(int longest, int contextLength) => Math.Min(contextLength, (Math.Max(1, longest) + Multiple - 1) / Multiple * Multiple);

    /// <summary>The division into passes of the least Σ (rows · columns + cost of a pass), by dynamic programming over rows from the longest to the shortest.</summary>
    /// <param name="rows">Places of rows, each once; at least one.</param>
    /// <param name="length">A row's tokens.</param>
    public Buckets Of(IReadOnlyList<int> rows, Func<int, int> length)
    {
        var sorted = rows.OrderByDescending(length).ToArray();
        int[] ends = [0, .. Enumerable.Range(1, (sorted.Length - 1) / Multiple).Select(i => i * Multiple), sorted.Length];
        var least = new (long Cost, int From)[ends.Length];
        for (var end = 1; end < ends.Length; end++)
        {
            least[end] = (long.MaxValue, 0);
            for (var from = 0; from < end; from++)
            {
                var cost = least[from].Cost + passCost + ((long)(ends[end] - ends[from]) * Columns(length(sorted[ends[from]]), contextLength));
                if (cost < least[end].Cost) least[end] = (cost, from);
            }
        }

        if (least[^1].From == 0) return new([[.. rows]], least[^1].Cost);
        List<int[]> passes = [];
        for (var end = ends.Length - 1; end > 0; end = least[end].From) passes.Add(sorted[ends[least[end].From]..ends[end]]);
        return new(passes, least[^1].Cost);
    }

    /// <summary>Rows in passes.</summary>
    /// <param name="Passes">Places of the rows of each, in the order that they were given in where there is one pass.</param>
    /// <param name="Cost">Tokens of all, padding included, and what passes cost beside them.</param>
    public readonly record struct Buckets(IReadOnlyList<int[]> Passes, long Cost);
}
