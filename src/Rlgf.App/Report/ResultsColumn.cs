using Rlgf.Statistics;

namespace Rlgf.App.Report;

/// <summary>A cell of the table.</summary>
/// <param name="Text">As shown.</param>
/// <param name="IsClear">Whether it is a difference whose interval leaves out 0.</param>
internal readonly record struct ResultsCell(string Text, bool IsClear = false);

/// <summary>A column of the table, the same on the terminal, in Markdown and in HTML.</summary>
/// <param name="Header">Its head.</param>
/// <param name="Meaning">What it says, with its unit.</param>
/// <param name="Cell">Its cell of a row.</param>
/// <param name="IsNarrow">Whether it is also shown on the terminal, which has less room.</param>
internal sealed record ResultsColumn(string Header, string Meaning, Func<ResultsRow, ResultsCell> Cell, bool IsNarrow = true)
{
    private static readonly ResultsColumn[] All =
    [
        new("reward", "mean training reward of the responses to the held-out prompts, without KL, and its 95 % interval", row => Mean(row.Reward)),
        new("over seeds", "standard deviation of the mean reward over the seeds", row => new(Number.Fixed(row.RewardOverSeeds, 3))),
        new("judge", "mean score of a judge that training never saw, and its 95 % interval", row => Mean(row.Judge)),
        new("KL", "KL to the starting model, nats a response", row => new(Number.Fixed(row.Kl, 1))),
        new("perplexity", "perplexity of the responses under the starting model", row => new(Number.Fixed(row.Perplexity, 1))),
        new("distinct-2", "share of different word pairs among all word pairs of the responses", row => new(Number.Fixed(row.Distinct2, 3))),
        new("length", "mean length of a response, tokens", row => new(Number.Fixed(row.Length, 1))),
        new("to PPO", "reward minus PPO's on the same prompts, and its 95 % interval", row => Difference(row.Over(row.Ppo))),
        new("to the first", "reward minus that of the first setting on the same prompts, and its 95 % interval", row => Difference(row.Over(row.First))),
        new("to the guide", "reward minus the guide's on the same prompts, and its 95 % interval", row => Difference(row.Over(row.Guide))),
        new("seconds", "time of training, without evaluation", row => new(Number.Fixed(row.Seconds, 0))),
        new("judge to PPO", "judge's score minus PPO's on the same prompts, and its 95 % interval", row => Difference(row.JudgeOver(row.Ppo)), IsNarrow: false),
        new("judge to the first", "judge's score minus that of the first setting on the same prompts, and its 95 % interval", row => Difference(row.JudgeOver(row.First)), IsNarrow: false),
        new("judge to the guide", "judge's score minus the guide's on the same prompts, and its 95 % interval", row => Difference(row.JudgeOver(row.Guide)), IsNarrow: false),
        new(Iterations, "iterations of training", row => new(row.Iterations is { } n ? Number.Fixed(n, 0) : Number.None), IsNarrow: false),
    ];

    /// <summary>The columns that say anything about this table.</summary>
    public static IReadOnlyList<ResultsColumn> For(ResultsTable table) =>
        [.. ((ResultsColumn[])[.. All[..PartsAfter], .. Parts(table), .. Groups(table), .. All[PartsAfter..]]).Where(column => table.Rows.Any(row => column.Cell(row).Text != Number.None))
            .Where(column => column.Header != Iterations || table.Algorithms.Select(row => row.Iterations).Distinct().Count() > 1)];

    /// <summary>A column for each part of a reward that is a sum, in the order of the first row that has them.</summary>
    private static IEnumerable<ResultsColumn> Parts(ResultsTable table) => table.Rows.SelectMany(row => row.RewardParts.Keys).Distinct().Select(part => new ResultsColumn(
        part, $"mean of the reward's part '{part}', before its weight, and its 95 % interval",
        row => row.RewardParts.TryGetValue(part, out var scores) ? Mean(Interval.OfMean(scores)) : new(Number.None)));

    /// <summary>A column for each group of prompts that results are given by.</summary>
    private static IEnumerable<ResultsColumn> Groups(ResultsTable table) => table.Rows.SelectMany(row => row.RewardGroups.Keys).Distinct().Select(group => new ResultsColumn(
        $"by {group}", $"mean reward of the prompts whose value of evaluation.by is '{group}', and its 95 % interval",
        row => row.RewardGroups.TryGetValue(group, out var rewards) ? Mean(Interval.OfMean(rewards)) : new(Number.None)));

    private const string Iterations = "iterations";

    /// <summary>How many columns come before those of the reward's parts: the reward and its spread over the seeds.</summary>
    private const int PartsAfter = 2;

    private static ResultsCell Mean(Interval mean) => new(WithInterval(Number.Fixed(mean.Mean, 3), mean));

    private static ResultsCell Difference(Interval? difference) => difference is null
        ? new(Number.None)
        : new(WithInterval(Number.Signed(difference.Mean, 3), difference), difference.Low > 0 || difference.High < 0);

    private static string WithInterval(string mean, Interval interval) =>
        double.IsFinite(interval.HalfWidth) ? $"{mean} ± {Number.Fixed(interval.HalfWidth, 3)}" : mean;
}
