using Rlgf.Cli.Report;

namespace Rlgf.Cli.Tests.Report;

public sealed class NumberTests
{
    [Theory]
    [InlineData(-0.00000039, 1, "0.0")]
    [InlineData(-0.06, 1, "−0.1")]
    [InlineData(0.351, 2, "0.35")]
    [InlineData(double.NaN, 2, "–")]
    public void What_rounds_to_zero_has_no_sign(double value, int decimals, string text) => Assert.Equal(text, Number.Fixed(value, decimals));

    [Fact]
    public void An_axis_does_not_begin_a_step_earlier_for_what_nobody_sees()
    {
        var axis = Axis.Over([-0.0000004, 11.8, 18], 0, 100);
        Assert.Equal(0, axis.Low);
        Assert.Equal(20, axis.High);
        Assert.Equal(-5, Axis.Over([-0.4, 11.8, 18], 0, 100).Low);
    }
}
