using System.Text.Json;
using Rlgf.Base;
using Rlgf.Text.Data;
using Rlgf.Text.Tasks;

namespace Rlgf.Text.Tests.Tasks;

/// <summary>Scores of the package itself, and Python's own reading of numbers.</summary>
public sealed class ReasoningGymTests
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "fixtures", "reasoning-gym");

    [Fact]
    public void Every_probe_is_right_or_not_and_has_the_packages_number()
    {
        var path = Environment.GetEnvironmentVariable("RLGF_GYM_CASES") is { Length: > 0 } other ? other : Path.Combine(Folder, "cases.jsonl");
        var wrong = new List<string>();
        var cases = 0;
        foreach (var row in TextDataset.ReadRows(path))
        {
            // A response is a text, maybe an empty one.
            if (row["given"] is not string given) continue;
            cases++;
            var problem = ReasoningGymProblem.Of(WithScorer(row));
            var (right, score) = (problem.IsRight(given), problem.PackageScore(given));
            if (right != row.GetBoolean("right") || score != row.GetDouble("score"))
                wrong.Add($"{row.Location} {row.GetString("task")} '{given}': {right}, {score:R} instead of {row.GetBoolean("right")}, {row.GetDouble("score"):R}");
        }

        Assert.Empty(wrong);
        Assert.True(cases > 0);
    }

    [Fact]
    public void The_fixture_has_a_case_of_every_task() =>
        Assert.Equal(15, TextDataset.ReadRows(Path.Combine(Folder, "cases.jsonl")).Select(row => row.GetString("task")).Distinct().Count());

    [Fact]
    public void Numbers_are_read_as_Python_reads_them()
    {
        using var numbers = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, "numbers.json")));
        foreach (var row in numbers.RootElement.GetProperty("texts").EnumerateArray())
        {
            var text = row.GetProperty("text").GetString()!;
            var (number, real) = (row.GetProperty("decimal").GetString(), row.GetProperty("float"));
            Assert.True(PythonNumber.AreEqualDecimals(text, text) == number is not null, $"'{text}' as a decimal number");
            if (number is not null) Assert.True(PythonNumber.AreEqualDecimals(text, number), $"'{text}' is {number}");
            Assert.True(PythonNumber.Float(text) == (real.ValueKind == JsonValueKind.Null ? null : real.GetDouble()), $"'{text}' as a float: {real} and not {PythonNumber.Float(text)}");
        }

        foreach (var pair in numbers.RootElement.GetProperty("pairs").EnumerateArray())
            Assert.True(PythonNumber.AreEqualDecimals(pair[0].GetString()!, pair[1].GetString()!) == pair[2].GetBoolean(), $"{pair}");
    }

    [Fact]
    public void Lengths_are_those_of_code_points()
    {
        // One code point of two UTF-16 units stands before the answer.
        Assert.Equal(4 / 5.0, Problem("lcm", "exact", "1020").PackageScore("😀1020"));
        Assert.Equal(2 / 3.0, Problem("spell_backward", "program", "a😀b").PackageScore("a😀c"));
        // The right letters and more: of four letters the sum is exactly 1 and a fifth taken off; of nine it comes out above 1 when it is added up, and nothing is.
        Assert.Equal(0.8, Problem("spell_backward", "program", "abcd").PackageScore("abcdx"));
        Assert.True(Problem("spell_backward", "program", "abcdefghi").PackageScore("abcdefghix") > 1);
    }

    [Fact]
    public void A_countdown_needs_all_numbers_and_nothing_but_arithmetic()
    {
        var problem = Problem("countdown", "program", "2*3 + 5", ("numbers", new List<object?> { 2L, 3L, 5L }), ("target", 13L));
        // 2³ + 5 is 13 too, which the package lets pass.
        Assert.Equal((false, 1.0), (problem.IsRight("2**3 + 5"), problem.PackageScore("2**3 + 5")));
        Assert.Equal((false, 0.05), (problem.IsRight("2*3 + 5"), problem.PackageScore("2*3 + 5")));
        Assert.Equal((true, 1.0), (problem.IsRight(" 5 *3-2\n"), problem.PackageScore(" 5 *3-2\n")));
        Assert.Equal((false, 0.01), (problem.IsRight("5*3-2 import"), problem.PackageScore("5*3-2 import")));
        Assert.False(problem.IsRight("5*3-02"));
        Assert.False(problem.IsRight("5*3\n-2"));
        Assert.False(problem.IsRight("٥*3-2"));
        // A third of a number three times is that number: no rounding.
        Assert.True(Problem("countdown", "program", "", ("numbers", new List<object?> { 1L, 3L, 3L, 9L }), ("target", 10L)).IsRight("1/3*3 + 9"));
    }

    [Fact]
    public void A_list_of_what_is_no_finite_number_is_not_sorted()
    {
        var problem = Problem("number_sorting", "program", "['1.0', '2.0']", ("direction", "ascending"));
        Assert.True(problem.IsRight("[1.5, \"2\"]"));
        foreach (var text in new[] { "['nan', 'nan']", "[NaN, NaN]", "[true, 2]", "[[1], 2]", "['\\ud800', '2']", "[1, 1e999]" }) Assert.Equal((false, 0.0), (problem.IsRight(text), problem.PackageScore(text)));
    }

    [Fact]
    public void A_row_that_is_no_problem_is_refused_with_its_place()
    {
        static string Refusal(string task, string scorer, string answer, params (string, object?)[] meta) => Assert.Throws<InputException>(() => Problem(task, scorer, answer, meta)).Message;
        Assert.Equal("gym.jsonl, row 4: column 'scorer': 'fuzzy' is no scorer; it is exact, number or program", Refusal("lcm", "fuzzy", "1"));
        Assert.Equal(
            "gym.jsonl, row 4: column 'task': 'lcm' has no scorer 'program' of its own; it is one of spell_backward, number_sorting, word_sorting, countdown", Refusal("lcm", "program", "1"));
        Assert.Contains("column 'answer': is empty", Refusal("lcm", "exact", ""), StringComparison.Ordinal);
        Assert.Contains("'numbers'", Refusal("countdown", "program", "1", ("numbers", new List<object?> { 2.5 }), ("target", 1L)), StringComparison.Ordinal);
        Assert.Contains("'direction'", Refusal("number_sorting", "program", "['1']"), StringComparison.Ordinal);
        Assert.Contains("'sorted_words'", Refusal("word_sorting", "program", "a, b"), StringComparison.Ordinal);
    }

    private static ReasoningGymProblem Problem(string task, string scorer, string answer, params (string Name, object? Value)[] meta) =>
        ReasoningGymProblem.Of(Row(4, task, scorer, answer.Length == 0 && task == "countdown" ? "1" : answer, meta.ToDictionary(entry => entry.Name, entry => entry.Value)));

    /// <summary>Cases say the task; which scorer it has is in the rows of the data.</summary>
    private static DataRow WithScorer(DataRow row)
    {
        var task = row.GetString("task");
        var scorer = task is "chain_sum" or "products" ? "number" : task is "spell_backward" or "number_sorting" or "word_sorting" or "countdown" ? "program" : "exact";
        return Row(row.Number, task, scorer, row.GetString("answer"), row["meta"]);
    }

    private static DataRow Row(int number, string task, string scorer, string answer, object? meta) =>
        DataRow.Create("gym.jsonl", number, ("task", task), ("scorer", scorer), ("answer", answer), ("meta", meta));
}
