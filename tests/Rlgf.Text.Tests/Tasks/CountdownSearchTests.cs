using Rlgf.Base;
using Rlgf.Text.Tasks;

namespace Rlgf.Text.Tests.Tasks;

/// <summary>Held to an enumeration of its own: all values of all trees over the numbers.</summary>
public sealed class CountdownSearchTests
{
    [Fact]
    public void All_values_of_all_trees_are_found_and_each_finish_has_the_value_that_is_read()
    {
        foreach (long[] numbers in new long[][] { [3, 7], [14, 21, 3], [5, 5, 2], [13, 5, 23, 5], [1, 2, 3, 4] })
        {
            var problem = new CountdownProblem(numbers, 0);
            var found = new HashSet<string>(StringComparer.Ordinal);
            var values = new HashSet<Fraction>();
            foreach (var (text, value) in new CountdownSearch(problem).All(""))
            {
                Assert.True(found.Add(text), $"twice: {text}");
                var read = ArithmeticExpression.TryParse(text)!;
                Assert.True(read.IsPlain);
                Assert.Equal(value, read.Value);
                Assert.Equal(numbers.Order(), read.Numbers.Select(number => (long)number).Order());
                values.Add(value);
            }

            Assert.Equal(TreeValues(numbers).OrderBy(value => value.ToString(), StringComparer.Ordinal), values.OrderBy(value => value.ToString(), StringComparer.Ordinal));
        }
    }

    [Fact]
    public void Of_two_numbers_there_are_the_expressions_that_one_writes_by_hand() => Assert.Equal(
        ["3 + 7", "3 - 7", "3*7", "3/7", "7 + 3", "7 - 3", "7*3", "7/3"], new CountdownSearch(new([3, 7], 0)).All("").Select(finish => finish.Text).Order(StringComparer.Ordinal).OrderBy(text => text[0]).ThenBy(text => "+-*/".IndexOf(text.Trim('3', '7', ' ')[0], StringComparison.Ordinal)));

    /// <summary>Sums and products are counted apart, by the sizes of their last part, with brackets where they change what is computed; and the numbers stand in any order.</summary>
    [Theory]
    [InlineData(8, 3, 7)]
    [InlineData(168, 14, 21, 3)]
    [InlineData(5856, 2, 7, 50, 300)] // No part of these is 0, so that nothing is divided by it.
    public void There_are_as_many_as_counting_gives(int count, params int[] numbers)
    {
        var n = numbers.Length;
        var (sums, products) = (new int[n + 1], new int[n + 1]);
        int Term(int size) => (size == 1 ? 1 : 0) + products[size];
        int Factor(int size) => (size == 1 ? 1 : 0) + sums[size];
        for (var size = 2; size <= n; size++)
        {
            for (var last = 1; last < size; last++)
            {
                // After a plus a term, after a minus also a sum in brackets; after * a factor, after / also a product in brackets.
                sums[size] += (Term(size - last) + sums[size - last]) * (2 * Term(last) + sums[last]);
                products[size] += (Factor(size - last) + products[size - last]) * (2 * Factor(last) + products[last]);
            }
        }

        Assert.Equal(count, (sums[n] + products[n]) * Enumerable.Range(1, n).Aggregate(1, (product, i) => product * i));
        Assert.Equal(count, new CountdownSearch(new([.. numbers.Select(number => (long)number)], 0)).All("").Count());
    }

    [Fact]
    public void Every_beginning_of_every_expression_can_be_finished_to_it()
    {
        var search = new CountdownSearch(new([12, 2, 1], 0));
        var all = search.All("").ToArray();
        foreach (var (text, value) in all.Where((_, i) => i % 5 == 0))
        {
            for (var length = 0; length <= text.Length; length++) Assert.Contains((text[length..], value), search.All(text[..length]));
        }
    }

    [Theory]
    [InlineData("-14 + ", "21*3", 49)] // A sign and a blank.
    [InlineData("3*(2", "1 - 14)", 21)] // Within a number.
    [InlineData("((3)*(21", " - 14))", 21)] // Brackets for no reason, as somebody wrote them.
    [InlineData("3*(21 - 14)", "", 21)]
    [InlineData("  3*(21-14)  ", "", 21)]
    [InlineData("3*-(14", " - 21)", 21)]
    [InlineData("21/(3", "/14)", 98)]
    public void Beginnings_by_hand(string beginning, string finish, int target)
    {
        Assert.Contains((finish, (Fraction)target), new CountdownSearch(new([14, 21, 3], target)).All(beginning));
        Assert.NotNull(new CountdownSearch(new([14, 21, 3], target)).Finish(beginning, right: true, new RandomStream(1)));
    }

    [Theory]
    [InlineData("4")] // No such number.
    [InlineData("14*14")] // Used up.
    [InlineData("3*(21 - 14) +")] // None left.
    [InlineData("3*(21 - 14))")]
    [InlineData("3 14")]
    [InlineData("014")]
    [InlineData("*")]
    [InlineData("()")]
    [InlineData("3**")]
    [InlineData("3.")]
    [InlineData("x")]
    [InlineData("٣")]
    [InlineData("3*(21 - 14) = 21")]
    public void What_can_not_be_finished(string beginning)
    {
        var search = new CountdownSearch(new([14, 21, 3], 21));
        Assert.Empty(search.All(beginning));
        Assert.Null(search.Finish(beginning, right: true, new RandomStream(1)));
        Assert.Null(search.Finish(beginning, right: false, new RandomStream(1)));
    }

    [Fact]
    public void A_finish_is_found_exactly_where_there_is_one_and_is_right_or_wrong_as_asked()
    {
        var random = new RandomStream(5);
        for (var i = 0; i < 300; i++)
        {
            var problem = new CountdownProblem([.. Enumerable.Range(0, 3).Select(_ => (long)(1 + random.NextInt32(12)))], random.NextInt32(40));
            var search = new CountdownSearch(problem);
            var all = search.All("").Select(finish => finish.Text).ToArray();
            var text = all[random.NextInt32(all.Length)];
            var beginning = text[..random.NextInt32(text.Length + 1)];
            var values = search.All(beginning).Select(finish => finish.Value == problem.Target).ToHashSet();
            foreach (var right in new[] { true, false })
            {
                var finish = search.Finish(beginning, right, random);
                Assert.Equal(values.Contains(right), finish is not null);
                if (finish is not null) Assert.Equal(right, ArithmeticExpression.TryParse(beginning + finish)!.Value == problem.Target);
            }
        }
    }

    /// <summary>Values of all binary trees whose leaves are all the numbers, from pairs that are joined until one value is left.</summary>
    private static HashSet<Fraction> TreeValues(IReadOnlyList<long> numbers)
    {
        var values = new HashSet<Fraction>();
        Join([.. numbers.Select(number => (Fraction)number)]);
        return values;

        void Join(List<Fraction> left)
        {
            if (left.Count == 1) values.Add(left[0]);
            for (var i = 0; i < left.Count; i++)
            {
                for (var j = 0; j < left.Count; j++)
                {
                    if (i == j) continue;
                    var others = left.Where((_, at) => at != i && at != j).ToArray();
                    Join([.. others, left[i] + left[j]]);
                    Join([.. others, left[i] - left[j]]);
                    Join([.. others, left[i] * left[j]]);
                    if (!left[j].IsZero) Join([.. others, left[i] / left[j]]);
                }
            }
        }
    }
}
