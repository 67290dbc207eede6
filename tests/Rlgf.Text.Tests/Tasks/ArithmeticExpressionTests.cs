using System.Numerics;
using Rlgf.Base;
using Rlgf.Text.Tasks;

namespace Rlgf.Text.Tests.Tasks;

public sealed class ArithmeticExpressionTests
{
    [Theory]
    [InlineData("7", "7")]
    [InlineData("2 + 3*4", "14")]
    [InlineData("(2 + 3)*4", "20")]
    [InlineData("24/4/2", "3")]
    [InlineData("24/(4/2)", "12")]
    [InlineData("1 - 2 - 3", "-4")]
    [InlineData("-3 + +5", "2")]
    [InlineData("2*-3", "-6")]
    [InlineData("--3", "3")]
    [InlineData("1/3 + 1/6", "1/2")]
    [InlineData(" \t( 1 )\t", "1")]
    [InlineData("-2**2", "-4")] // As Python: the power first.
    [InlineData("2**3**2", "512")]
    [InlineData("2**-1", "1/2")]
    [InlineData("0.5 + .25 + 1.", "7/4")]
    public void Values_by_hand(string text, string value) => Assert.Equal(value, ArithmeticExpression.TryParse(text)!.Value.ToString());

    [Theory]
    [InlineData("")]
    [InlineData("1 +")]
    [InlineData("(1")]
    [InlineData("1)")]
    [InlineData("()")]
    [InlineData("1 2")]
    [InlineData("07")]
    [InlineData("1,000")]
    [InlineData("x")]
    [InlineData("1 // 2")]
    [InlineData("2 ^ 3")]
    [InlineData("1 = 1")]
    [InlineData("abs(1)")]
    [InlineData("1e3")]
    [InlineData("1_0")]
    [InlineData("2×3")]
    [InlineData("１")]
    [InlineData("1\n+ 2")]
    [InlineData("__import__('os')")]
    public void What_is_none(string text) => Assert.Null(ArithmeticExpression.TryParse(text));

    [Fact]
    public void Division_by_nothing_huge_powers_and_roots_have_no_value()
    {
        Assert.True(ArithmeticExpression.TryParse("1/(2 - 2)") is { Value: null, DividesByZero: true });
        Assert.True(ArithmeticExpression.TryParse("0**-1") is { Value: null, DividesByZero: true });
        Assert.True(ArithmeticExpression.TryParse("9**9**9**9") is { Value: null, DividesByZero: false, IsPlain: false });
        Assert.True(ArithmeticExpression.TryParse("2**(1/2)") is { Value: null, IsPlain: false });
    }

    [Fact]
    public void Length_and_depth_have_limits_and_nothing_overflows()
    {
        Assert.Null(ArithmeticExpression.TryParse(new string('(', 1000) + "1" + new string(')', 1000)));
        Assert.Null(ArithmeticExpression.TryParse(new string('-', 1999) + "1"));
        Assert.Null(ArithmeticExpression.TryParse(string.Concat(Enumerable.Repeat("2**", 600)) + "2"));
        Assert.Null(ArithmeticExpression.TryParse(new string(' ', ArithmeticExpression.MaxLength) + "1"));
        Assert.NotNull(ArithmeticExpression.TryParse(new string('(', 90) + "1" + new string(')', 90)));
        Assert.Equal(BigInteger.Pow(99, 600), ArithmeticExpression.TryParse(string.Join("*", Enumerable.Repeat("99", 600)))!.Value!.Value.Numerator);
    }

    [Fact]
    public void Random_trees_are_read_as_they_were_written()
    {
        var random = new RandomStream(11);
        for (var i = 0; i < 2000; i++)
        {
            var (text, value, numbers) = Tree(random, 4);
            var expression = ArithmeticExpression.TryParse(text)!;
            Assert.True(expression.IsPlain);
            Assert.Equal(value is null, expression.Value is null);
            // An independent computation, in doubles: no number here is near their limits.
            if (value is { } expected) Assert.Equal(expected, (double)expression.Value!.Value.Numerator / (double)expression.Value.Value.Denominator, 1e-9 * Math.Max(1, Math.Abs(expected)));
            Assert.Equal(numbers, expression.Numbers.Select(number => (int)number));
        }
    }

    /// <summary>A tree with brackets around every operation, its value computed from the tree; null where it is divided by 0.</summary>
    private static (string Text, double? Value, List<int> Numbers) Tree(RandomStream random, int depth)
    {
        if (depth == 0 || random.NextInt32(4) == 0)
        {
            var leaf = random.NextInt32(20);
            return ($"{leaf}", leaf, [leaf]);
        }

        var (left, right) = (Tree(random, depth - 1), Tree(random, depth - 1));
        var symbol = "+-*/"[random.NextInt32(4)];
        // A quotient of what is 0 but for rounding would be told apart by the exact value alone.
        double? value = symbol switch
        {
            '+' => left.Value + right.Value,
            '-' => left.Value - right.Value,
            '*' => left.Value * right.Value,
            _ => right.Value is { } divisor && Math.Abs(divisor) > 1e-9 ? left.Value / divisor : null,
        };
        return ($"({left.Text} {symbol} {right.Text})", value, [.. left.Numbers, .. right.Numbers]);
    }
}
