using Rlgf.Text.Data;

namespace Rlgf.Text.Tests.Data;

public sealed class ShuffledOrderTests
{
    [Fact]
    public void Every_epoch_takes_every_row_once_in_another_order()
    {
        var order = new ShuffledOrder(50, seed: 1);
        var first = order.Next(50);
        Assert.Equal(1, order.Epoch);
        var second = order.Next(50);
        Assert.Equal(Enumerable.Range(0, 50), first.Order());
        Assert.Equal(Enumerable.Range(0, 50), second.Order());
        Assert.NotEqual(first, second);
        Assert.NotEqual(first, new ShuffledOrder(50, seed: 2).Next(50));
    }

    [Fact]
    public void A_stored_position_goes_on_as_if_it_had_never_stopped()
    {
        var whole = new ShuffledOrder(7, seed: 5).Next(30);
        for (var stop = 0; stop < 30; stop++)
        {
            Assert.Equal(whole[stop..], new ShuffledOrder(7, seed: 5, position: stop).Next(30 - stop));
        }

        var order = new ShuffledOrder(7, seed: 5);
        Assert.Equal(whole[23], order.RowAt(23));
        Assert.Equal(whole[2], order.RowAt(2));
        Assert.Equal(0, order.Position);
    }

    [Fact]
    public void The_order_never_changes_between_versions() =>
        // From the definition written down a second time, in Python: a checkpoint's position means something only as long as this stays.
        Assert.Equal([8, 0, 7, 1, 6, 2, 9, 5, 3, 4, 2, 3], new ShuffledOrder(10, seed: 17).Next(12));
}
