using System.Globalization;
using Rlgf.Text.Tasks;

namespace Rlgf.Text.Tests.Tasks;

public sealed class TableTaskTests
{
    private sealed record Person(string Name, int Age, string Town);

    [Theory]
    [InlineData(TableQuestion.Find, 2)]
    [InlineData(TableQuestion.Find, 7)]
    [InlineData(TableQuestion.Order, 5)]
    [InlineData(TableQuestion.Sum, 3)]
    public void Answers_are_in_the_table_that_the_prompt_shows(TableQuestion question, int people)
    {
        var problems = TableTask.Problems(question, people, 200, seed: 5).ToArray();
        Assert.Equal(200, problems.Select(problem => problem.Prompt).Distinct().Count());
        foreach (var problem in problems)
        {
            var parts = problem.Prompt.Split('?');
            Person[] table = [.. parts[0].Split(';').Select(row => row.Split(' ')).Select(cells => new Person(cells[0], int.Parse(cells[1], CultureInfo.InvariantCulture), cells[2]))];
            Assert.Equal(people, table.Length);
            Assert.Equal(people, table.Select(row => row.Name).Distinct().Count());
            Assert.Equal(people, table.Select(row => row.Age).Distinct().Count());
            Assert.Equal(people, table.Select(row => row.Town).Distinct().Count());
            var asked = parts[1].TrimEnd('=');
            var last = asked.Split(' ')[^1];
            var right = asked switch
            {
                "by age" => Sorted(table),
                "sum of ages" => $"{table.Sum(row => row.Age)}",
                _ when asked.StartsWith("age of ", StringComparison.Ordinal) => $"{table.Single(row => row.Name == last).Age}",
                _ when asked.StartsWith("town of ", StringComparison.Ordinal) => table.Single(row => row.Name == last).Town,
                _ => table.Single(row => row.Town == last).Name,
            };
            Assert.Equal(right, problem.Answer);
        }
    }

    /// <summary>The youngest is taken out again and again.</summary>
    private static string Sorted(Person[] table)
    {
        var left = table.ToList();
        var names = new List<string>();
        while (left.MinBy(row => row.Age) is { } youngest)
        {
            names.Add(youngest.Name);
            left.Remove(youngest);
        }
        return string.Join(' ', names);
    }

    [Fact]
    public void All_three_kinds_of_cells_are_asked_for() =>
        Assert.Equal(["age", "town", "who"], TableTask.Problems(TableQuestion.Find, 3, 100, seed: 0).Select(problem => problem.Prompt.Split('?')[1].Split(' ')[0]).Distinct().Order());

    [Fact]
    public void A_seed_decides() => Assert.Equal(TableTask.Problems(TableQuestion.Order, 3, 20, seed: 7), TableTask.Problems(TableQuestion.Order, 3, 20, seed: 7));
}
