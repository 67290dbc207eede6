using Rlgf.Text.Data;

namespace Rlgf.Text.Tests.Data;

/// <summary>Some rows of a file that may be sorted.</summary>
public sealed class SampleTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_sample_is_drawn_from_the_whole_file_and_kept_in_its_order()
    {
        var path = _folder.Write("sorted.jsonl", string.Concat(Enumerable.Range(0, 1000).Select(i => $"{{\"label\": {(i < 500 ? 0 : 1)}, \"n\": {i}}}\n")));
        IReadOnlyList<DataRow> Sample(ulong seed, string? filter = null) => TextDataset.Open(path, new TextDatasetOptions { Sample = 100, SampleSeed = seed, Filter = filter }).Rows;

        Assert.All(TextDataset.Open(path, new TextDatasetOptions { Limit = 100 }).Rows, row => Assert.Equal(0, row.GetInt64("label")));
        var rows = Sample(1);
        Assert.Equal(100, rows.Count);
        Assert.Equal(rows.Select(row => row.Number).Order(), rows.Select(row => row.Number));
        Assert.Equal(100, rows.Select(row => row.Number).Distinct().Count());
        Assert.Equal(rows.Select(row => row.Number), Sample(1).Select(row => row.Number));
        Assert.NotEqual(rows.Select(row => row.Number), Sample(2).Select(row => row.Number));
        // Hypergeometric: mean 50, deviation √(100 · ¼ · 900/999) = 4.7.
        Assert.InRange(rows.Count(row => row.GetInt64("label") == 0), 26, 74);
        Assert.All(Sample(3, "label == 1"), row => Assert.Equal(1, row.GetInt64("label")));
        // Each row as often as any other: 300 samples of a tenth, so 30 each with a deviation of 5.2.
        var often = Enumerable.Range(0, 300).SelectMany(seed => Sample((ulong)seed)).CountBy(row => row.Number).ToDictionary();
        Assert.Equal(1000, often.Count);
        Assert.All(often.Values, times => Assert.InRange(times, 5, 55));
        Assert.Equal(1000, TextDataset.Open(path, new TextDatasetOptions { Sample = 2000 }).Count);
    }
}
