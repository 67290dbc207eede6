using System.Globalization;
using Rlgf.App.Terminals;
using Rlgf.Evaluation;
using Rlgf.Prompts;
using Rlgf.Statistics;

namespace Rlgf.App.Commands;

/// <summary>What <c>rlgf evaluate --samples</c> and <c>--against</c> measure.</summary>
internal static class SampledEvaluation
{
    private const string DifficultyColumn = "difficulty", SolvedColumn = "solved", SamplesColumn = "samples", RewardsColumn = "rewards";

    /// <summary>Seed of the bootstrap: the same results give the same interval.</summary>
    private const ulong BootstrapSeed = 0;

    private static readonly string[] OwnColumns = [DifficultyColumn, SolvedColumn, SamplesColumn, RewardsColumn];

    /// <summary>Lets a model, and another if there is one, answer each prompt several times.</summary>
    public static void Run(Evaluator evaluator, Answerer own, Answerer? other, int samples, double success, string? output, MeansTable table, Terminal terminal)
    {
        // What can't be written is better said before the work.
        if (output is not null) foreach (var prompt in evaluator.Prompts) Columns(prompt);
        SampledScores scores;
        SampledScores? others;
        using (var progress = new ProgressLine(terminal, "evaluate", "answers", (long)samples * evaluator.Prompts.Count * (other is null ? 1 : 2)))
        {
            scores = own.Sample(evaluator, samples, done => progress.Report(done), terminal.Stop);
            others = other?.Sample(evaluator, samples, done => progress.Report((long)samples * evaluator.Prompts.Count + done), terminal.Stop);
        }

        var solved = scores.Solved(success);
        if (output is not null)
        {
            using var writer = new RowOutput(output, terminal);
            for (var prompt = 0; prompt < solved.Count; prompt++)
            {
                var row = Columns(evaluator.Prompts[prompt]);
                row[DifficultyColumn] = Name(SampledScores.DifficultyOf(solved[prompt], samples));
                row[SolvedColumn] = solved[prompt];
                row[SamplesColumn] = samples;
                row[RewardsColumn] = scores.Rewards[prompt];
                writer.Write(row);
            }

            writer.Complete();
        }

        table.Text("model", own.Name);
        table.Count("prompts", solved.Count);
        table.Count("samples", samples);
        table.Text("success", string.Create(CultureInfo.InvariantCulture, $"reward ≥ {success}"));
        Means(scores, success, "", table);
        foreach (var difficulty in Enum.GetValues<Difficulty>()) table.Count($"difficulty/{Name(difficulty)}", solved.Count(right => SampledScores.DifficultyOf(right, samples) == difficulty));
        foreach (var (group, prompts) in ByGroup(evaluator.Groups))
        {
            table.Count($"prompts{group}", prompts.Length);
            Means(scores.Of(prompts), success, group, table);
        }

        if (others is not null) Compare(scores, others, evaluator.Groups, other!.Name, table);
    }

    private static void Means(SampledScores scores, double success, string group, MeansTable table)
    {
        table.Mean($"reward/mean{group}", SampledScores.Mean(scores.Rewards));
        if (scores.JudgeScores is { } judged) table.Mean($"judge/mean{group}", SampledScores.Mean(judged));
        foreach (var k in scores.Ks) table.Mean(string.Create(CultureInfo.InvariantCulture, $"reward/best@{k}{group}"), scores.BestOfK(k));
        foreach (var k in scores.Ks) table.Mean(string.Create(CultureInfo.InvariantCulture, $"pass@{k}{group}"), scores.PassAtK(k, success));
        table.Mean($"never_solved{group}", scores.NeverSolved(success));
    }

    /// <summary>The prompts of each group, by <c>/</c> and its name; none where results are not given by a column.</summary>
    private static IEnumerable<(string Name, int[] Prompts)> ByGroup(IReadOnlyList<string>? groups) =>
        (groups ?? []).Index().GroupBy(row => row.Item, row => row.Index).Select(group => ($"/{group.Key}", group.ToArray()));

    /// <summary>How often one model is better than another, of all prompts and of those of each group.</summary>
    public static void Compare(SampledScores scores, SampledScores others, IReadOnlyList<string>? groups, string other, MeansTable table)
    {
        table.Text("against", other);
        Compare(scores, others, table);
        foreach (var (group, prompts) in ByGroup(groups)) table.Mean($"difference/reward{group}", Difference(scores.Of(prompts).Rewards, others.Of(prompts).Rewards));
    }

    private static Interval Difference(IReadOnlyList<IReadOnlyList<double>> own, IReadOnlyList<IReadOnlyList<double>> others) =>
        PairedDifference.Of([.. own.Select(answers => answers.Average())], [.. others.Select(answers => answers.Average())]).Difference;

    private static void Compare(SampledScores scores, SampledScores others, MeansTable table)
    {
        table.Ends("win_rate/reward", SampledScores.WinRate(scores.Rewards, others.Rewards, BootstrapSeed));
        table.Mean("difference/reward", Difference(scores.Rewards, others.Rewards));
        if (scores.JudgeScores is not { } own || others.JudgeScores is not { } theirs) return;
        table.Ends("win_rate/judge", SampledScores.WinRate(own, theirs, BootstrapSeed));
        table.Mean("difference/judge", Difference(own, theirs));
    }

    /// <summary>The columns of a prompt's data row; its text where it came from no data. Columns of an earlier split make room.</summary>
    /// <exception cref="Base.InputException">A column has a name that the split needs, or a value that isn't read.</exception>
    private static Dictionary<string, object?> Columns(Prompt prompt)
    {
        if (prompt.Row is not { } row) return new() { ["prompt"] = prompt.Text };
        var isSplit = OwnColumns.All(row.Has);
        if (!isSplit && OwnColumns.FirstOrDefault(row.Has) is { } taken)
            throw row.Invalid(taken, $"rows of --samples have a column of that name (besides {string.Join(", ", OwnColumns.Where(column => column != taken))}); call it otherwise in the data");
        return row.Columns.Where(column => !OwnColumns.Contains(column)).ToDictionary(column => column, column => row[column]);
    }

    private static string Name(Difficulty difficulty) => difficulty.ToString().ToLowerInvariant();
}
