using System.Globalization;
using System.Numerics;
using Rlgf.Base;
using Rlgf.Text.Tasks;

namespace Rlgf.Text.Tests.Tasks;

public sealed class ChainTaskTests
{
    [Theory]
    [InlineData(ChainSkill.Sums, new[] { 2, 9, 1, 4, 1, 7 }, "291417=", "212674")]
    [InlineData(ChainSkill.Parities, new[] { 0, 1, 1, 0, 1, 0 }, "011010=", "010011")]
    [InlineData(ChainSkill.Carries, new[] { 4, 8, 2, 7, 3, 9 }, "482+739=", "1221")]
    [InlineData(ChainSkill.Carries, new[] { 0, 0 }, "0+0=", "00")]
    public void Problems_by_hand(ChainSkill skill, int[] digits, string prompt, string answer) => Assert.Equal(new TaskProblem(prompt, answer), ChainTask.Problem(skill, digits));

    [Fact]
    public void Carries_are_the_sum_of_the_two_numbers_read_backward()
    {
        foreach (var problem in ChainTask.Problems(ChainSkill.Carries, 20, 200, seed: 3))
        {
            var numbers = problem.Prompt.TrimEnd('=').Split('+').Select(text => BigInteger.Parse(text, CultureInfo.InvariantCulture)).ToArray();
            Assert.Equal(numbers[0] + numbers[1], BigInteger.Parse(string.Concat(problem.Answer.Reverse()), CultureInfo.InvariantCulture));
            Assert.Equal(21, problem.Answer.Length);
        }
    }

    [Fact]
    public void All_problems_of_a_length_can_be_had_each_once_and_no_more()
    {
        var all = ChainTask.Problems(ChainSkill.Parities, 5, 32, seed: 1).ToArray();
        Assert.Equal(32, all.Distinct().Count());
        Assert.All(all, problem => Assert.Equal(string.Concat(problem.Prompt.TrimEnd('=').Select((_, i) => problem.Prompt[..(i + 1)].Count(c => c == '1') % 2)), problem.Answer));
        Assert.Contains("32", Assert.Throws<InputException>(() => ChainTask.Problems(ChainSkill.Parities, 5, 33, seed: 1)).Message, StringComparison.Ordinal);
        Assert.Equal(all, ChainTask.Problems(ChainSkill.Parities, 5, 32, seed: 1));
        Assert.NotEqual(all, ChainTask.Problems(ChainSkill.Parities, 5, 32, seed: 2));
    }
}
