using System.Text.Json;
using Rlgf.Algorithms;

namespace Rlgf.Tests.Algorithms;

public class GuidanceGapTests
{
    [Fact]
    public void The_gap_by_hand()
    {
        // Policy: mean 2, n − 1 deviation √((1 + 0 + 1)/2) = 1. Guide: mean 2.4. Gap 0.4.
        var gap = GuidanceGap.Unmeasured;
        Assert.Equal(1, gap.Factor);
        gap = gap.Update([2.3, 2.5], [1, 2, 3]);
        Assert.Equal(0.4, gap.Smoothed!.Value, 12); // the first one as it is
        Assert.Equal(0.8, gap.Factor, 12); // 0.4/0.5
        gap = gap.Update([1.4], [1, 2, 3]); // gap −0.6
        Assert.Equal(0.1, gap.Smoothed!.Value, 12); // 0.7·0.4 − 0.3·0.6
        Assert.Equal(0.2, gap.Factor, 12);
        gap = gap.Update([0], [1, 2, 3]); // gap −2
        Assert.Equal(-0.53, gap.Smoothed!.Value, 12); // 0.7·0.1 − 0.3·2
        Assert.Equal(0.05, gap.Factor); // the floor keeps measuring
        Assert.Equal(1, gap.Update([100], [1, 2, 3]).Factor);
    }

    [Theory]
    [InlineData(new double[0], new[] { 1.0, 2.0 })]
    [InlineData(new[] { 1.0 }, new double[0])]
    [InlineData(new[] { 1.0 }, new[] { 2.0 })]
    [InlineData(new[] { 1.0 }, new[] { 0.1, 0.1, 0.1 })] // no spread, although 0.1 + 0.1 + 0.1 ≠ 0.3
    [InlineData(new[] { 1.0 }, new[] { 0.7, 0.7000000001, 0.7 })] // a rounding error is no spread either
    public void What_cannot_be_measured_changes_nothing(double[] guide, double[] policy)
    {
        var gap = new GuidanceGap(0.3);
        Assert.Equal(gap, gap.Update(guide, policy));
        Assert.Equal(1, GuidanceGap.Unmeasured.Update(guide, policy).Factor);
    }

    [Fact]
    public void The_state_survives_json()
    {
        foreach (var gap in new[] { GuidanceGap.Unmeasured, new GuidanceGap(1.0 / 3) })
            Assert.Equal(gap, JsonSerializer.Deserialize<GuidanceGap>(JsonSerializer.Serialize(gap)));
    }
}
