namespace Rlgf.Text.Data;

/// <summary>Rows that were left out, counted by reason, so that nothing goes in silence.</summary>
public sealed class DroppedRows
{
    private readonly List<(string Reason, string First, int Count)> _reasons = [];

    /// <summary>How many rows were left out.</summary>
    public int Count => _reasons.Sum(entry => entry.Count);

    /// <summary>How many rows were left out for which reason, the reasons in the order in which they came up.</summary>
    public IReadOnlyDictionary<string, int> ByReason => _reasons.ToDictionary(entry => entry.Reason, entry => entry.Count);

    /// <summary>Counts a row.</summary>
    /// <param name="reason">Why, the same words for every such row: "chosen and rejected are the same".</param>
    /// <param name="row">The row; the first of each reason is named.</param>
    public void Add(string reason, DataRow row)
    {
        var at = _reasons.FindIndex(entry => entry.Reason == reason);
        if (at < 0) _reasons.Add((reason, row.Location, 1));
        else _reasons[at] = _reasons[at] with { Count = _reasons[at].Count + 1 };
    }

    /// <summary>One line about them: "3 of 500 rows are left out: 2 because chosen and rejected are the same (the first: pairs.jsonl:7), …"; null where there are none.</summary>
    /// <param name="rows">All rows, those left out included.</param>
    public string? Line(int rows) => _reasons.Count == 0
        ? null
        : FormattableString.Invariant($"{Count} of {rows} rows {(Count == 1 ? "is" : "are")} left out: {string.Join(", ", _reasons.Select(entry => $"{entry.Count} because {entry.Reason} ({(entry.Count == 1 ? "" : "the first: ")}{entry.First})"))}");
}
