using Rlgf.App.Report;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Runs;

namespace Rlgf.Cli.Tests.Report;

public sealed class ResultsTableTests
{
    // Student's t of 2 degrees of freedom at 0.975.
    private const double T2 = 4.302653;

    [Fact]
    public void Seeds_are_averaged_prompt_by_prompt_before_the_interval_is_taken()
    {
        // Means over the seeds: 0.2, 0.4, 0.9; mean 0.5, s² = (0.09 + 0.01 + 0.16) / 2 = 0.13, so ± t √(0.13 / 3).
        var row = Assert.Single(Table(Run("ppo", 1, [0.1, 0.5, 0.8]), Run("ppo", 2, [0.3, 0.3, 1.0])).Algorithms);
        Assert.Equal(2, row.Seeds);
        Assert.Equal(0.5, row.Reward.Mean, 9);
        Assert.Equal(T2 * Math.Sqrt(0.13 / 3), row.Reward.HalfWidth, 5);
        // Means of the seeds: 1.4/3 and 1.6/3, apart by 0.2/3, so the deviation is that over √2.
        Assert.Equal(0.2 / 3 / Math.Sqrt(2), row.RewardOverSeeds, 9);
    }

    [Fact]
    public void Differences_are_paired_over_prompts()
    {
        // Differences 0.1, 0.2, 0.3: mean 0.2, s = 0.1. The prompts' own spread, much larger, falls out.
        var table = Table(Run("ppo", 1, [0.1, 0.5, 0.9]), Run("adaptive", 1, [0.2, 0.7, 1.2]));
        var difference = table.Algorithms[1].Over(table.Algorithms[1].Ppo)!;
        Assert.Equal("Adaptive", table.Algorithms[1].Name);
        Assert.Equal(0.2, difference.Mean, 9);
        Assert.Equal(T2 * 0.1 / Math.Sqrt(3), difference.HalfWidth, 5);
        Assert.Null(table.Algorithms[0].Ppo);
    }

    [Fact]
    public void The_table_has_a_row_for_the_start_the_guide_and_each_algorithm_in_a_fixed_order()
    {
        var table = ResultsTable.Of(RunGroup.Of([.. SyntheticRuns.All(2).Reverse()]));
        Assert.Equal(["starting model", "guide", "PPO", "PPO++", "AggreVaTeD", "LOLS", "D²LOLS", "Adaptive"], table.Rows.Select(row => row.Name));
        Assert.All(table.Algorithms, row => Assert.Equal(2, row.Seeds));
        Assert.All(table.Algorithms, row => Assert.Equal("guide", row.Guide?.Name));
    }

    [Fact]
    public void The_starting_model_counts_once_where_all_runs_drew_the_same_of_it()
    {
        var table = Table(Run("ppo", 1, [0.1, 0.5, 0.9]), Run("ppo", 2, [0.1, 0.5, 0.9]));
        Assert.Equal(1, table.Start!.Seeds);
        Assert.True(double.IsNaN(table.Start.RewardOverSeeds));
        Assert.Equal(2, table.Algorithms[0].Seeds);
    }

    [Fact]
    public void Runs_with_different_guides_are_told_apart_and_compared_with_their_own()
    {
        var table = Table(Run("ppo", 1, [0.1, 0.2, 0.3], guide: "weak", guideReward: 0.3), Run("adaptive", 1, [0.1, 0.2, 0.3], guide: "weak", guideReward: 0.3),
            Run("adaptive", 1, [0.4, 0.5, 0.6], guide: "strong", guideReward: 0.8));
        Assert.Equal(["starting model", "guide: weak", "guide: strong", "PPO", "Adaptive, weak", "Adaptive, strong"], table.Rows.Select(row => row.Name));
        Assert.Equal(0.8, table.Algorithms[2].Guide!.Reward.Mean, 9);
        Assert.Equal(0.3, table.Algorithms[2].Over(table.Algorithms[2].Ppo)!.Mean, 9);
    }

    [Fact]
    public void Evaluations_of_other_prompts_are_an_error()
    {
        var other = Run("adaptive", 1, [0.1, 0.2, 0.3]);
        other = other with { Evaluations = [other.Evaluations[0] with { Rows = [.. other.Evaluations[0].Rows.Reverse()] }] };
        var error = Assert.Throws<InputException>(() => Table(Run("ppo", 1, [0.1, 0.2, 0.3]), other));
        Assert.Contains("other prompts", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_seed_twice_is_an_error()
    {
        var error = Assert.Throws<InputException>(() => Table(Run("ppo", 1, [0.1, 0.2, 0.3]), Run("ppo", 1, [0.1, 0.2, 0.3])));
        Assert.Contains("seed 1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_settings_of_one_recipe_are_two_rows_told_apart_by_what_differs_and_never_averaged_as_seeds()
    {
        static ReportRun With(ulong seed, double[] rewards, string rate, string more = "") =>
            Run("ppo", seed, rewards) with { Recipe = $"kind: train\noutput: runs/{seed}{rate}\nseed: {seed}\ncheckpoints:\n  keep: {seed}\nupdate:\n  learning_rate: {rate}\n  epochs: 2\n{more}" };
        var table = Table(With(1, [0.1, 0.2, 0.3], "0.001"), With(1, [0.4, 0.5, 0.6], "0.002"), With(2, [0.3, 0.4, 0.5], "0.001"));
        Assert.Equal(["PPO, learning_rate 0.001", "PPO, learning_rate 0.002"], table.Algorithms.Select(row => row.Name));
        Assert.Equal([2, 1], table.Algorithms.Select(row => row.Seeds));
        Assert.Equal([0.3, 0.5], table.Algorithms.Select(row => Math.Round(row.Reward.Mean, 9)));
        Assert.Equal([0, 1], table.Algorithms.Select(row => row.Group));

        // What an earlier version did not have is as null; a setting of seeds alone makes no other row.
        Assert.Equal("PPO", Assert.Single(Table(With(1, [0.1, 0.2, 0.3], "0.001"), With(2, [0.1, 0.2, 0.3], "0.001", "guide: null\n")).Algorithms).Name);
        Assert.Equal(["PPO, a 1, b 1, c 1 and 1 more", "PPO, no a, no b, no c and 1 more"],
            Table(With(1, [0.1, 0.2, 0.3], "0.001", "a: 1\nb: 1\nc: 1\nd: 1\n"), With(1, [0.1, 0.2, 0.3], "0.001")).Algorithms.Select(row => row.Name));
        Assert.Contains("have seed 1", Assert.Throws<InputException>(() => Table(With(1, [0.1, 0.2, 0.3], "0.001"), With(1, [0.1, 0.2, 0.3], "0.001"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_of_the_reward_have_a_column_each()
    {
        static ReportRun WithParts(string algorithm, double[] rewards, double shift)
        {
            var run = Run(algorithm, 1, rewards, guide: null);
            return run with { Evaluations = [.. run.Evaluations.Select(e => e with { Rows = [.. e.Rows.Select(row => row with { RewardParts = new Dictionary<string, double> { ["tone"] = row.Reward + shift, ["length"] = -1 } })] })] };
        }

        var table = Table(WithParts("ppo", [0.1, 0.2, 0.3], 1), WithParts("grpo", [0.1, 0.2, 0.3], 2));
        var columns = ResultsColumn.For(table);
        Assert.Equal(["reward", "tone", "length"], columns.Take(3).Select(column => column.Header));
        // 1.1, 1.2, 1.3: s = 0.1, and t · 0.1 / √3 = 0.248.
        Assert.Equal(["1.200 ± 0.248", "2.200 ± 0.248"], table.Algorithms.Select(row => columns[1].Cell(row).Text));
        Assert.Contains("tone", ResultsText.Markdown(table), StringComparison.Ordinal);
        Assert.DoesNotContain(ResultsColumn.For(Table(Run("ppo", 1, [0.1, 0.2, 0.3]))), column => column.Header == "tone");
    }

    [Fact]
    public void Columns_that_say_nothing_are_left_out()
    {
        var headers = ResultsColumn.For(Table(Run("ppo", 1, [0.1, 0.2, 0.3], guide: null))).Select(column => column.Header).ToArray();
        Assert.Contains("reward", headers);
        Assert.DoesNotContain("judge", headers);
        Assert.DoesNotContain("to PPO", headers);
        Assert.DoesNotContain("over seeds", headers);
    }

    [Fact]
    public void The_terminal_shows_each_row_on_one_line_and_Markdown_as_many_cells_in_each_row()
    {
        var table = ResultsTable.Of(RunGroup.Of(SyntheticRuns.All(2)));
        var output = new StringWriter();
        ResultsText.Print(output, table, width: 200);
        var lines = output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.All(table.Rows, row => Assert.Single(lines, line => line.StartsWith(row.Name + "  ", StringComparison.Ordinal)));
        Assert.DoesNotContain('\u001B', output.ToString());

        var markdown = ResultsText.Markdown(table).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(table.Rows.Count + 2, markdown.Length);
        Assert.Single(markdown.Select(line => line.Count(c => c == '|')).Distinct());
    }

    [Theory]
    [InlineData(80)]
    [InlineData(60)]
    [InlineData(40)]
    [InlineData(137)]
    public void No_line_is_wider_than_the_terminal_and_every_number_is_there_once(int width)
    {
        var table = ResultsTable.Of(RunGroup.Of(SyntheticRuns.All(3)));
        var output = new StringWriter { NewLine = "\n" };
        ResultsText.Print(output, table, width);
        var lines = output.ToString().Split('\n');
        Assert.All(lines, line => Assert.True(line.Length <= width, line));
        foreach (var column in ResultsColumn.For(table).Where(column => column.IsNarrow))
        {
            // Heads stand in lines without a name.
            Assert.Single(lines.Where(line => line.StartsWith("  ", StringComparison.Ordinal)), line => $"{line}  ".Contains($"  {column.Header}  ", StringComparison.Ordinal));
            Assert.All(table.Rows, row => Assert.Contains(lines, line => line.StartsWith(row.Name, StringComparison.Ordinal) && line.Contains(column.Cell(row).Text, StringComparison.Ordinal)));
        }
    }

    [Fact]
    public void Rows_with_the_same_numbers_say_why()
    {
        var table = Table(Run("ppo_plus_plus", 1, [0.1, 0.5, 0.9]), Run("lols", 1, [0.1, 0.5, 0.9]), Run("ppo", 1, [0.1, 0.4, 0.9]));
        Assert.Contains("PPO++ and LOLS have the same numbers because", ResultsText.Explanation(table), StringComparison.Ordinal);
        Assert.DoesNotContain("have the same numbers", ResultsText.Explanation(Table(Run("ppo", 1, [0.1, 0.5, 0.9]), Run("lols", 1, [0.1, 0.5, 0.8]))), StringComparison.Ordinal);
    }

    [Fact]
    public void Answers_are_the_same_prompts_for_all_and_one_line_each_on_the_terminal()
    {
        var groups = RunGroup.Of(SyntheticRuns.All(2));
        var drawn = Answers.Drawn(groups, 6);
        Assert.Equal(6, drawn.Select(answers => answers.Prompt).Distinct().Count());
        Assert.All(drawn, answers => Assert.All(answers.Of, answer => Assert.Equal(answers.Prompt, answer.Row.Prompt)));
        Assert.All(drawn, answers => Assert.Equal(8, answers.Of.Count));

        var output = new StringWriter { NewLine = "\n" };
        var broken = drawn[0].Of[0] with { Row = drawn[0].Of[0].Row with { Response = "two\nlines\u001B[2J" } };
        ResultsText.PrintAnswers(output, [new Answers("p", [broken])]);
        Assert.Contains("two↵lines [2J\n", output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new[] { 0.5, 0.6, 0.7 }, "PPO raised the held-out reward from 0.200 to 0.600 in 5 iterations (+0.400 ± ")]
    [InlineData(new[] { 0.1, 0.3, 0.2 }, "PPO did not clearly change the held-out reward, 0.200 before and 0.200 after in 5 iterations (+0.000 ± ")]
    public void The_sentence_says_no_more_than_the_interval(double[] rewards, string start)
    {
        var run = Run("ppo", 1, rewards, guide: null);
        var before = Run("ppo", 1, [0.1, 0.2, 0.3], guide: null).Evaluations[0] with { Iteration = 0 };
        Assert.StartsWith(start, ResultSentence.Of(Table(run with { Evaluations = [before, run.Evaluations[^1]] })), StringComparison.Ordinal);
    }

    [Fact]
    public void A_lead_that_is_not_clear_is_called_so()
    {
        var table = Table(Run("ppo", 1, [0.1, 0.5, 0.9]), Run("adaptive", 1, [0.3, 0.4, 0.9]));
        Assert.Contains("though not clearly ahead of PPO", ResultSentence.Of(table), StringComparison.Ordinal);
    }

    private static ResultsTable Table(params ReportRun[] runs) => ResultsTable.Of(RunGroup.Of(runs));

    private static ReportRun Run(string algorithm, ulong seed, double[] rewards, string? guide = "guide", double guideReward = 0.5) => new()
    {
        Description = new RunDescription("r", algorithm, seed, guide),
        Iterations = [],
        Evaluations = guide == null ? [Evaluation(5, rewards)] : [Evaluation(0, rewards), Evaluation(5, rewards)],
        Guide = guide is null ? null : Evaluation(0, [guideReward, guideReward, guideReward]),
    };

    private static EvaluationRecord Evaluation(int iteration, double[] rewards) => new(iteration, new Dictionary<string, double>(),
        [.. rewards.Select((reward, i) => new EvaluationRow($"prompt {i}", "text", 3, false, reward, new Dictionary<string, double>(), double.NaN, 1, -3))]);
}
