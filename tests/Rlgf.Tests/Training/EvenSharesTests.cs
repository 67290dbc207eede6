using Rlgf.Algorithms;
using Rlgf.Supervised;
using Rlgf.Tests.Toys;
using Rlgf.Training;

namespace Rlgf.Tests.Training;

public sealed class EvenSharesTests
{
    [Theory]
    [InlineData(33, 32, new[] { 16, 17 })]
    [InlineData(64, 32, new[] { 32, 32 })]
    [InlineData(100, 32, new[] { 25, 25, 25, 25 })]
    [InlineData(5, 8, new[] { 5 })]
    [InlineData(0, 8, new int[0])]
    [InlineData(10, 4, new[] { 3, 3, 4 })]
    public void Steps_differ_by_one_row_at_most_and_are_full_where_rows_divide(int rows, int most, int[] sizes)
    {
        Assert.Equal(sizes, EvenShares.Sizes(rows, most));
        var items = Enumerable.Range(0, rows).ToArray();
        var shares = EvenShares.Of(items, most).ToArray();
        Assert.Equal(sizes, shares.Select(share => share.Length));
        Assert.Equal(items, shares.SelectMany(share => share));
        if (rows % most == 0) Assert.Equal(items.Chunk(most), shares);
    }

    [Fact]
    public void A_row_that_is_left_over_is_no_step_of_its_own()
    {
        // 33 rows: two steps an epoch either way. With a step of its own the one row would be half of what an epoch learns from.
        using var policy = new TabularModel(3, 3, 2);
        var setup = ToyRun.Setup(policy, Presets.Ppo(), null, response => response.Length, iterations: 1);
        var sizes = EvenShares.Sizes(33, setup.Update.RowsPerMinibatch);
        Assert.Equal(16, sizes.Min());
        Assert.Single(ToyRun.Run(setup with { RowsPerIteration = 33 }));
    }

    [Theory]
    [InlineData(257, 8)]
    [InlineData(256, 8)]
    [InlineData(9, 8)]
    [InlineData(1000, 3)]
    public void Supervised_steps_are_even_too_and_use_each_example_once(int examples, int most)
    {
        var order = new BatchOrder(examples, example => example % 7, most, seed: 4);
        var batches = Enumerable.Range(0, order.BatchesPerEpoch).Select(step => order.Batch(step).Examples).ToArray();
        Assert.Equal((examples + most - 1) / most, batches.Length);
        Assert.InRange(batches.Max(batch => batch.Length) - batches.Min(batch => batch.Length), 0, 1);
        Assert.True(batches.Max(batch => batch.Length) <= most);
        Assert.Equal(Enumerable.Range(0, examples), batches.SelectMany(batch => batch).Order());
    }
}
