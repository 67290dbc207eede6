using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Statistics;

namespace Rlgf.App.Report;

/// <summary>One model's results on the held-out prompts.</summary>
internal sealed record ResultsRow
{
    /// <summary>Name to show.</summary>
    public required string Name { get; init; }

    /// <summary>Seeds that were averaged.</summary>
    public required int Seeds { get; init; }

    /// <summary>Number of its group; −1 for what was not trained here.</summary>
    public int Group { get; init; } = -1;

    /// <summary>Iterations of training before the evaluation; null for what was not trained here.</summary>
    public int? Iterations { get; init; }

    /// <summary>Reward of each prompt, mean over the seeds.</summary>
    public required IReadOnlyList<double> Rewards { get; init; }

    /// <summary>Judge's score of each prompt, mean over the seeds; NaN without a judge.</summary>
    public required IReadOnlyList<double> JudgeScores { get; init; }

    /// <summary>For each seed its reward of each prompt.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> RewardsOfSeeds { get; init; }

    /// <summary>For each seed its judge's score of each prompt.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> JudgeScoresOfSeeds { get; init; }

    /// <summary>What the reward is made of, by name: each part's score of each prompt before its weight, mean over the seeds; empty for a reward that is one thing.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<double>> RewardParts { get; init; } = new Dictionary<string, IReadOnlyList<double>>();

    /// <summary>Rewards of the prompts of each value of the column that results are given by (<c>evaluation.by</c>), mean over the seeds; empty without one.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<double>> RewardGroups { get; init; } = new Dictionary<string, IReadOnlyList<double>>();

    /// <summary>Mean reward.</summary>
    public Interval Reward => Interval.OfMean(Rewards);

    /// <summary>Standard deviation over the seeds of the mean reward; NaN of one seed.</summary>
    public required double RewardOverSeeds { get; init; }

    /// <summary>Mean score of the judge that training never saw.</summary>
    public Interval Judge => Interval.OfMean(JudgeScores);

    /// <summary>KL to the starting model, nats a response.</summary>
    public required double Kl { get; init; }

    /// <summary>Perplexity under the starting model.</summary>
    public required double Perplexity { get; init; }

    /// <summary>distinct-2 of all responses of an evaluation.</summary>
    public required double Distinct2 { get; init; }

    /// <summary>Mean length, tokens.</summary>
    public required double Length { get; init; }

    /// <summary>Seconds of training, mean over the seeds; NaN for what was not trained here.</summary>
    public double Seconds { get; init; } = double.NaN;

    /// <summary>The model that this row started from; null where it was not evaluated or is the row itself, as with the two below.</summary>
    public ResultsRow? Start { get; init; }

    /// <summary>The first setting, which this row is measured against where PPO is not among several algorithms; null where it is, and in the first setting's own row.</summary>
    public ResultsRow? First { get; init; }

    /// <summary>This row's guide.</summary>
    public ResultsRow? Guide { get; init; }

    /// <summary>The PPO that this row is measured against.</summary>
    public ResultsRow? Ppo { get; init; }

    /// <summary>Paired difference of rewards, prompt by prompt; null without the other.</summary>
    public Interval? Over(ResultsRow? other) => other is null ? null : PairedDifference.Of(Rewards, other.Rewards).Difference;

    /// <summary>Paired difference of the judge's scores, prompt by prompt; null without the other.</summary>
    public Interval? JudgeOver(ResultsRow? other) => other is null ? null : PairedDifference.Of(JudgeScores, other.JudgeScores).Difference;
}

/// <summary>
/// The results of groups of runs: one row each for the starting model, each guide and each group. Of several seeds the mean is taken prompt by prompt first; intervals and paired
/// differences are then over the prompts. So an interval says what other prompts could have given with these trained models, not what other seeds could have: that is the column "over seeds".
/// </summary>
/// <param name="Start">The starting model; null if it was not evaluated.</param>
/// <param name="Guides">Each guide that was evaluated.</param>
/// <param name="Algorithms">Each group whose runs were evaluated, in the order of the groups.</param>
internal sealed record ResultsTable(ResultsRow? Start, IReadOnlyList<ResultsRow> Guides, IReadOnlyList<ResultsRow> Algorithms)
{
    /// <summary>What the starting model is called.</summary>
    public const string StartName = "starting model";

    /// <summary>What a guide is called where there are so many.</summary>
    public static string GuideName(string? guide, int guides) => guides == 1 ? "guide" : $"guide: {guide}";

    /// <summary>All rows in the order to show them.</summary>
    public IReadOnlyList<ResultsRow> Rows => [.. Start is null ? [] : new[] { Start }, .. Guides, .. Algorithms];

    /// <summary>Number of held-out prompts.</summary>
    public int Prompts => Rows.Count > 0 ? Rows[0].Rewards.Count : 0;

    /// <summary>Puts the table together; runs that were never evaluated are left out.</summary>
    /// <exception cref="InputException">Two evaluations are of different prompts, so that they can't be paired.</exception>
    public static ResultsTable Of(IReadOnlyList<RunGroup> groups)
    {
        var evaluated = groups.Select(group => group with { Runs = [.. group.Runs.Where(run => run.Last is not null)] }).Where(group => group.Runs.Count > 0).ToArray();
        RequireSamePrompts(evaluated);

        var runs = evaluated.SelectMany(group => group.Runs).ToArray();
        var start = Different(runs.Select(run => run.Start)) is { Count: > 0 } starts ? Row(StartName, starts) : null;
        var byGuide = runs.Where(run => run.Guide is not null).GroupBy(run => run.Description.Guide ?? "").ToArray();
        var guides = byGuide.ToDictionary(group => group.Key, group =>
            Row(GuideName(group.Key, byGuide.Length), Different(group.Select(run => run.Guide))) with { Start = start });
        var rows = evaluated.Select(group => (group, Row: Row(group.Label, [.. group.Runs.Select(run => run.Last!)]) with
        {
            Group = groups.TakeWhile(other => other.Label != group.Label).Count(),
            Iterations = group.Runs[0].Last!.Iteration,
            Seconds = group.Runs.Average(run => run.Seconds),
            Start = start,
            Guide = guides.TryGetValue(group.Guide ?? "", out var own) ? own : guides.Count == 1 ? guides.Values.Single() : null,
        })).ToArray();

        var ppos = rows.Where(row => row.group.Algorithm == "ppo").ToArray();
        var first = rows.Length > 1 && (ppos.Length == 0 || ppos.Length == rows.Length) ? rows[0].Row : null;
        ResultsRow? PpoFor(string? guide) => ppos.Length == 0 ? null : (ppos.FirstOrDefault(ppo => ppo.group.Guide == guide) is { Row: not null } same ? same : ppos[0]).Row;
        return new ResultsTable(
            start is null ? null : start with { Guide = guides.Count == 1 ? guides.Values.Single() : null, Ppo = PpoFor(null) },
            [.. guides.Select(guide => guide.Value with { Ppo = PpoFor(guide.Key) })],
            [.. rows.Select(row => row.Row with { Ppo = row.group.Algorithm == "ppo" ? null : PpoFor(row.group.Guide), First = ReferenceEquals(row.Row, first) ? null : first })]);
    }

    /// <summary>The starting model and a guide are the same in every run; where runs drew other responses from them, that is as good as seeds.</summary>
    private static List<EvaluationRecord> Different(IEnumerable<EvaluationRecord?> evaluations)
    {
        var different = new List<EvaluationRecord>();
        foreach (var evaluation in evaluations.OfType<EvaluationRecord>())
        {
            var responses = evaluation.Rows.Select(row => row.Response);
            if (!different.Any(other => other.Rows.Select(row => row.Response).SequenceEqual(responses))) different.Add(evaluation);
        }
        return different;
    }

    private static ResultsRow Row(string name, List<EvaluationRecord> seeds)
    {
        double Mean(string metric) => seeds.Average(e => e.Metrics.TryGetValue(metric, out var value) ? value : double.NaN);
        double[][] OfSeeds(Func<EvaluationRow, double> value) => [.. seeds.Select(seed => seed.Rows.Select(value).ToArray())];
        double[] PerPrompt(Func<EvaluationRow, double> value) => [.. Enumerable.Range(0, seeds[0].Rows.Count).Select(i => seeds.Average(e => value(e.Rows[i])))];
        return new ResultsRow
        {
            Name = name,
            Seeds = seeds.Count,
            Rewards = PerPrompt(row => row.Reward),
            JudgeScores = PerPrompt(row => row.Judge),
            RewardsOfSeeds = OfSeeds(row => row.Reward),
            JudgeScoresOfSeeds = OfSeeds(row => row.Judge),
            RewardParts = seeds[0].Rows[0].RewardParts.Keys.Where(part => seeds.TrueForAll(e => e.Rows.All(row => row.RewardParts.ContainsKey(part))))
                .ToDictionary(part => part, part => (IReadOnlyList<double>)PerPrompt(row => row.RewardParts[part])),
            RewardGroups = PerPrompt(row => row.Reward).Zip(seeds[0].Rows, (reward, row) => (reward, row.Group)).Where(row => row.Group is not null)
                .GroupBy(row => row.Group!, row => row.reward).ToDictionary(group => group.Key, group => (IReadOnlyList<double>)[.. group]),
            RewardOverSeeds = Spread.Deviation([.. seeds.Select(e => e.Rows.Average(row => row.Reward))]),
            Kl = Mean("kl/start"),
            Perplexity = Mean("perplexity/start"),
            Distinct2 = Mean("distinct/2"),
            Length = Mean("response/length"),
        };
    }

    private static void RequireSamePrompts(IReadOnlyList<RunGroup> groups)
    {
        IReadOnlyList<EvaluationRow>? first = null;
        var firstName = "";
        foreach (var group in groups)
        {
            foreach (var run in group.Runs)
            {
                EvaluationRecord?[] used = [run.Start, run.Last, run.Guide];
                foreach (var rows in used.OfType<EvaluationRecord>().Select(e => e.Rows))
                {
                    var name = $"{group.Label}, seed {run.Description.Seed}";
                    if (first is null) (first, firstName) = (rows, name);
                    if (rows.Count == 0) throw new InputException($"{name}: an evaluation without prompts can't be compared");
                    if (!rows.Select(row => row.Prompt).SequenceEqual(first.Select(row => row.Prompt)))
                        throw new InputException($"{name} was evaluated on other prompts than {firstName}, so the two can't be paired: evaluate both on the same data");
                }
            }
        }
    }
}
