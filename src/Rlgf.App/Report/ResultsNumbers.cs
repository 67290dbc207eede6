using System.Text.Json;
using Rlgf.Statistics;
using Rlgf.Text.Data;

namespace Rlgf.App.Report;

/// <summary>The table of results for programs: every number in full, and those of each seed.</summary>
/// <param name="Title">What was done.</param>
/// <param name="Note">What a reader must know before the numbers; null for nothing.</param>
/// <param name="Prompts">Held-out prompts.</param>
/// <param name="VariedKeys">Keys of the recipe that were varied on purpose.</param>
/// <param name="Rows">The table's rows, in its order.</param>
internal sealed record ResultsNumbers(string Title, string? Note, int Prompts, IReadOnlyList<string> VariedKeys, IReadOnlyList<ResultsNumbers.Row> Rows)
{
    private static readonly JsonSerializerOptions Indented = new(JsonLines.WriteOptions) { WriteIndented = true };

    /// <summary>Those of a table.</summary>
    public static ResultsNumbers Of(ReportData data, IReadOnlyList<RunGroup> groups, ResultsTable table) =>
        new(data.Title, data.Note, table.Prompts, data.VariedKeys, [.. table.Rows.Select(row => Row.Of(row, row.Group < 0 ? null : groups[row.Group], data.VariedKeys))]);

    /// <summary>As a file's text; a number that is not known is null.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Indented) + "\n";

    /// <summary>A mean with its 95 % interval.</summary>
    internal sealed record Estimate(double Mean, double Low, double High)
    {
        /// <summary>That of an interval; null for none and for a mean that is not known.</summary>
        public static Estimate? Of(Interval? interval) => interval is null || double.IsNaN(interval.Mean) ? null : new(interval.Mean, interval.Low, interval.High);
    }

    /// <summary>One model's, or one setting's, results.</summary>
    /// <param name="Name">As in the table.</param>
    /// <param name="Algorithm">The algorithm's name in recipes; null for what was not trained here, as the three below.</param>
    /// <param name="Guide">The guide's name.</param>
    /// <param name="Settings">The varied keys with this row's values, as its recipe has them.</param>
    /// <param name="Seeds">The seeds.</param>
    /// <param name="Iterations">Iterations before the evaluation.</param>
    /// <param name="Reward">Mean reward, with the interval over prompts.</param>
    /// <param name="RewardOverSeedsAndPrompts">The same mean, with the interval over seeds and prompts.</param>
    /// <param name="RewardOfSeeds">Each seed's mean reward.</param>
    /// <param name="Judge">Mean score of the judge, and so on.</param>
    /// <param name="JudgeOverSeedsAndPrompts">See <paramref name="RewardOverSeedsAndPrompts"/>.</param>
    /// <param name="JudgeOfSeeds">Each seed's mean score.</param>
    /// <param name="Kl">KL to the start, nats a response.</param>
    /// <param name="Perplexity">Under the start.</param>
    /// <param name="Distinct2">distinct-2.</param>
    /// <param name="Length">Mean length, tokens.</param>
    /// <param name="Seconds">Of training, mean over the seeds.</param>
    /// <param name="RewardToPpo">Paired difference of rewards to PPO, as in the table.</param>
    /// <param name="RewardToFirst">To the first setting.</param>
    /// <param name="RewardToGuide">To the guide.</param>
    /// <param name="JudgeToPpo">Paired difference of the judge's scores to PPO.</param>
    /// <param name="JudgeToFirst">To the first setting.</param>
    /// <param name="JudgeToGuide">To the guide.</param>
    internal sealed record Row(
        string Name, string? Algorithm, string? Guide, IReadOnlyDictionary<string, string>? Settings, IReadOnlyList<ulong>? Seeds, int? Iterations,
        Estimate? Reward, Estimate? RewardOverSeedsAndPrompts, IReadOnlyList<double> RewardOfSeeds, Estimate? Judge, Estimate? JudgeOverSeedsAndPrompts, IReadOnlyList<double> JudgeOfSeeds,
        double Kl, double Perplexity, double Distinct2, double Length, double Seconds,
        Estimate? RewardToPpo, Estimate? RewardToFirst, Estimate? RewardToGuide, Estimate? JudgeToPpo, Estimate? JudgeToFirst, Estimate? JudgeToGuide)
    {
        /// <summary>Those of a row of the table.</summary>
        public static Row Of(ResultsRow row, RunGroup? group, IReadOnlyList<string> keys) => new(
            row.Name, group?.Algorithm, group?.Guide,
            group is null ? null : keys.Where(group.Runs[0].Settings.ContainsKey).ToDictionary(key => key, key => group.Runs[0].Settings[key]),
            group is null ? null : [.. group.Runs.Where(run => run.Last is not null).Select(run => run.Description.Seed)], row.Iterations,
            Estimate.Of(row.Reward), Estimate.Of(CrossedMean.Of(row.RewardsOfSeeds)), [.. row.RewardsOfSeeds.Select(seed => seed.Average())],
            Estimate.Of(row.Judge), Estimate.Of(CrossedMean.Of(row.JudgeScoresOfSeeds)), [.. row.JudgeScoresOfSeeds.Select(seed => seed.Average())],
            row.Kl, row.Perplexity, row.Distinct2, row.Length, row.Seconds,
            Estimate.Of(row.Over(row.Ppo)), Estimate.Of(row.Over(row.First)), Estimate.Of(row.Over(row.Guide)),
            Estimate.Of(row.JudgeOver(row.Ppo)), Estimate.Of(row.JudgeOver(row.First)), Estimate.Of(row.JudgeOver(row.Guide)));
    }
}
