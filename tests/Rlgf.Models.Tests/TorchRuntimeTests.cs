namespace Rlgf.Models.Tests;

public sealed class TorchRuntimeTests
{
    [Fact]
    public void Float32_products_have_the_accuracy_of_float32_after_loading()
    {
        TorchRuntime.Load();
        // Sums of 256 products of numbers below 1 in float32 err by a few 1e-6; rounding the factors to bfloat16 (8 bits) would cost above 1e-2.
        Assert.InRange(FastFloat32Products.ProductError(), 0, 5e-5);
    }

    [Fact]
    public void Loading_twice_gives_the_same_facts()
    {
        var facts = TorchRuntime.Load();
        Assert.Same(facts, TorchRuntime.Load());
        Assert.StartsWith("2.", facts.LibtorchVersion, StringComparison.Ordinal);
        Assert.True(facts.Threads >= 1);
    }

    [Fact]
    public void The_slower_way_lasts_until_the_last_of_several_is_done_with_it()
    {
        // The error is one of rounding, which tells the two ways apart where they round in different orders.
        var fast = FastFloat32Products.ProductError();
        double slow;
        using (FastFloat32Products.Suspend())
        {
            slow = FastFloat32Products.ProductError();
            using (FastFloat32Products.Suspend()) Assert.Equal(slow, FastFloat32Products.ProductError());
            Assert.Equal(slow, FastFloat32Products.ProductError());
        }

        Assert.Equal(fast, FastFloat32Products.ProductError());
        if (TorchRuntime.Load().FastFloat32Products) Assert.NotEqual(fast, slow);
    }
}
