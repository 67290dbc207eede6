using System.Data;
using System.Globalization;
using Rlgf.Base;
using Rlgf.Text.Tasks;

namespace Rlgf.Text.Tests.Tasks;

public sealed class StackTaskTests
{
    [Theory]
    [InlineData("ab3-*c+", 31)] // 5 · (9 − 3) + 1
    [InlineData("a 3 + :*", 64)]
    [InlineData("ab~-", 4)] // 9 − 5
    [InlineData("abc;-", -4)]
    [InlineData("7", 7)]
    [InlineData("", null)]
    [InlineData("ab", null)] // two numbers are left
    [InlineData("a+", null)]
    [InlineData(";", null)]
    [InlineData("ad*", null)] // there is no fourth input
    [InlineData("a/b", null)]
    [InlineData("aé+", null)]
    [InlineData("9:*:*:*:*:*", null)] // 9^32 has no place in 64 bits
    public void Programs_by_hand(string program, int? result) => Assert.Equal(result, StackProgram.Run(program, [5, 9, 1]));

    [Fact]
    public void A_program_that_is_too_long_is_not_run() => Assert.Null(StackProgram.Run("1" + new string(' ', StackProgram.MaxLength), []));

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(9)]
    public void A_formula_its_program_and_its_cases_agree_with_a_calculator_of_somebody_else(int operators)
    {
        using var calculator = new DataTable();
        var problems = StackTask.Problems(operators, 200, seed: 3).ToArray();
        Assert.Equal(200, problems.Select(problem => problem.Prompt).Distinct().Count());
        foreach (var problem in problems)
        {
            Assert.Equal((2 * operators) + 1, problem.Answer.Length);
            Assert.Equal(StackTask.Cases, problem.Cases.Count);
            foreach (var text in problem.Cases)
            {
                var @case = StackCase.Parse(text)!;
                Assert.Equal(text, @case.ToString());
                // As decimal numbers, so that products of ten numbers don't leave the calculator's range.
                var formula = string.Concat(problem.Prompt.TrimEnd('=').Select(sign => sign switch
                {
                    >= 'a' and <= 'c' => @case.Inputs[sign - 'a'].ToString(CultureInfo.InvariantCulture) + ".0",
                    _ when char.IsAsciiDigit(sign) => sign + ".0",
                    _ => sign.ToString(),
                }));
                Assert.Equal(@case.Result, Convert.ToDecimal(calculator.Compute(formula, null), CultureInfo.InvariantCulture));
                Assert.True(@case.IsMetBy(problem.Answer));
            }
        }
    }

    [Fact]
    public void Other_right_programs_are_right_and_wrong_ones_wrong()
    {
        var @case = new StackCase([5, 9, 1], 14);
        Assert.All(["ab+", "ba+", "a b +", "ab+c*"], program => Assert.True(@case.IsMetBy(program)));
        Assert.All(["ab-", "ab", "95+0", "ab+ "[..2]], program => Assert.False(@case.IsMetBy(program)));
    }

    [Theory]
    [InlineData("3 7 2=19", true)]
    [InlineData("=4", true)]
    [InlineData(" -3 7 = -4 ", true)]
    [InlineData("3 7", false)]
    [InlineData("3=4=5", false)]
    [InlineData("3,5=8", false)]
    [InlineData("3 x=8", false)]
    [InlineData("3=", false)]
    public void Cases_are_read_strictly(string text, bool isCase) => Assert.Equal(isCase, StackCase.Parse(text) is not null);

    [Fact]
    public void More_formulas_than_there_are_can_not_be_asked_for() =>
        Assert.Contains("longer ones", Assert.Throws<InputException>(() => StackTask.Problems(1, 1000, seed: 0)).Message, StringComparison.Ordinal);
}
