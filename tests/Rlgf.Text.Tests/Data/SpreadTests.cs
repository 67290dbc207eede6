using Rlgf.Text.Data;

namespace Rlgf.Text.Tests.Data;

public sealed class SpreadTests
{
    [Theory]
    [InlineData(10, 3, new[] { 1, 5, 8 })]
    [InlineData(4, 4, new[] { 0, 1, 2, 3 })]
    [InlineData(4, 9, new[] { 0, 1, 2, 3 })]
    [InlineData(7, 1, new[] { 3 })]
    public void Some_rows_are_spread_evenly_over_all(int total, int count, int[] expected) =>
        Assert.Equal(expected, TextDataset.Spread([.. Enumerable.Range(0, total)], count));

    [Fact]
    public void A_sorted_file_gives_as_many_of_each_label() =>
        Assert.Equal(50, TextDataset.Spread([.. Enumerable.Range(0, 5000).Select(i => i / 2500)], 100).Sum());
}
