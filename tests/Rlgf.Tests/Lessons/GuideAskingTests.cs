using Rlgf.Lessons;

namespace Rlgf.Tests.Lessons;

/// <summary>g by hand: clip(log2(L_g / L_π), 0.05, 1), L_g with one imagined lesson of full size.</summary>
public sealed class GuideAskingTests
{
    [Theory]
    // Nothing measured, and nothing found by the policy: the guide is asked in full, however little it taught.
    [InlineData(new double[0], new double[0], 1)]
    [InlineData(new[] { 0.0, 0, 0, 0 }, new[] { 0.0, 0, 0, 0 }, 1)]
    [InlineData(new double[0], new[] { 0.0, 0 }, 1)]
    // (1 + 0 + 0 + 1) / 4 = 0.5 against (1 + 0 + 0 + 0) / 4 = 0.25: twice as many.
    [InlineData(new[] { 1.0, 0, 0 }, new[] { 1.0, 0, 0, 0 }, 1)]
    // (0.5 + 0 + 0.5) / 3 = 1/3 against 1/4: log2(4/3).
    [InlineData(new[] { 0.5, 0 }, new[] { 0.5, 0.5, 0, 0 }, 0.4150374992788438)]
    // As many as the policy: the floor. (0.2 · 3 + 0.2) / 4 = 0.2.
    [InlineData(new[] { 0.2, 0.2, 0.2 }, new[] { 0.2, 0.2 }, 0.05)]
    // Fewer: the floor too.
    [InlineData(new[] { 0.0, 0, 0 }, new[] { 1.0, 1 }, 0.05)]
    // A whole window without one from the guide: the floor, although the policy has few; (0 · 4 + 1) / 5 against 1/4 would be it anyway, so 1 of 8:
    [InlineData(new[] { 0.0, 0, 0, 0 }, new[] { 0.0, 0, 0, 0.01 }, 0.05)]
    public void Factor_of_a_window_of_four(double[] guide, double[] policy, double expected) => Assert.Equal(expected, new GuideAsking(guide, policy).Factor(4), 1e-12);

    [Fact]
    public void An_imagined_lesson_keeps_a_guide_that_was_hardly_measured()
    {
        // One answer without a lesson, and a policy with one lesson in four rows: (0 + 1) / 2 against 1/4.
        Assert.Equal(1, new GuideAsking([0], [1, 0, 0, 0]).Factor(512), 1e-12);
        // Thirty-one without: (0 + 1) / 32 is an eighth of it.
        Assert.Equal(0.05, new GuideAsking(new double[31], [1, 0, 0, 0]).Factor(512), 1e-12);
    }

    [Fact]
    public void The_factor_does_not_depend_on_the_rewards_unit()
    {
        double[] guide = [0.4, 0, 0.1, 0], policy = [0.2, 0, 0, 0.1, 0];
        Assert.Equal(new GuideAsking(guide, policy).Factor(512), new GuideAsking([.. guide.Select(x => 1000 * x)], [.. policy.Select(x => 1000 * x)]).Factor(512), 1e-12);
    }

    [Fact]
    public void Windows_hold_the_last_rows()
    {
        var asking = GuideAsking.Unmeasured.With([(1, 10), (2, 20), (3, 30)], [(4, 40)], 2).With([(5, 50)], [(6, 60), (7, 70), (8, 80)], 2);
        Assert.Equal([3, 5], asking.Guide);
        Assert.Equal([7, 8], asking.Policy);
        Assert.Equal([30, 50], asking.GuideTokens);
        Assert.Equal([70, 80], asking.PolicyTokens);
    }

    [Theory]
    // L_g = (0.5 + 0 + 0.5) / 3 = 1/3 for 6 tokens, L_π = 1/4 for 3. Without a price log2(4/3).
    [InlineData(null, 0.4150374992788438)]
    // At half the policy's price the guide's answer costs what the policy's does: 1/3 / 3 against 1/4 / 3.
    [InlineData(0.5, 0.4150374992788438)]
    // A third: 1/3 / 2 against 1/4 / 3, which is twice as much.
    [InlineData(1.0 / 3, 1)]
    // 0.45: 1/3 / 2.7 against 1/12, log2(40/27).
    [InlineData(0.45, 0.5670405927238938)]
    // As dear as the policy's: 1/3 / 6 against 1/12, two thirds of it.
    [InlineData(1.0, 0.05)]
    public void With_a_price_of_the_guide_s_tokens_lessons_are_compared_per_unit_of_cost(double? price, double expected)
    {
        var asking = GuideAsking.Unmeasured.With([(0.5, 4), (0, 8)], [(0.5, 2), (0.5, 4), (0, 5), (0, 1)], 512);
        Assert.Equal(expected, asking.Factor(512, price), 1e-12);
        // Who found nothing has nothing to compare, whatever the guide costs.
        Assert.Equal(1, GuideAsking.Unmeasured.With([(0, 4)], [(0, 2)], 512).Factor(512, price));
    }
}
