using static TorchSharp.torch;

namespace Rlgf.Tests;

public class GoldenTests
{
    [Fact]
    public void The_comparison_can_fail()
    {
        using var scope = NewDisposeScope();
        Golden.AssertClose(1.0, 1.0 + 1e-11, "near");
        Assert.ThrowsAny<Exception>(() => Golden.AssertClose(1.0, 1.0 + 1e-9, "far"));
        Assert.ThrowsAny<Exception>(() => Golden.AssertClose(0.0, double.NaN, "not a number"));
    }
}
