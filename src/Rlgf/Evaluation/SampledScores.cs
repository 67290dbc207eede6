using Rlgf.Statistics;

namespace Rlgf.Evaluation;

/// <summary>How hard a prompt is for a model, by the share of its answers that reach a reward.</summary>
public enum Difficulty
{
    /// <summary>None does.</summary>
    Never,

    /// <summary>Up to one in four.</summary>
    Hard,

    /// <summary>Less than three in four.</summary>
    Medium,

    /// <summary>Three in four or more.</summary>
    Easy,
}

/// <summary>Scores of several answers to each prompt, each drawn with random numbers of its own.</summary>
/// <param name="Rewards">The training reward of each answer: <c>[P][N]</c>.</param>
/// <param name="JudgeScores">The judge's score of each: <c>[P][N]</c>; null without a judge.</param>
public sealed record SampledScores(IReadOnlyList<IReadOnlyList<double>> Rewards, IReadOnlyList<IReadOnlyList<double>>? JudgeScores)
{
    /// <summary>Those of an evaluation, which is of one answer each.</summary>
    public static SampledScores Of(EvaluationRecord record) =>
        new([.. record.Rows.Select(row => (double[])[row.Reward])], record.Rows.All(row => double.IsNaN(row.Judge)) ? null : [.. record.Rows.Select(row => (double[])[row.Judge])]);

    /// <summary>Those of some prompts alone.</summary>
    /// <param name="prompts">Which, from 0.</param>
    public SampledScores Of(IReadOnlyList<int> prompts) => new([.. prompts.Select(prompt => Rewards[prompt])], JudgeScores is null ? null : [.. prompts.Select(prompt => JudgeScores[prompt])]);

    /// <summary>N: answers to a prompt.</summary>
    public int Samples => Rewards[0].Count;

    /// <summary>The k that results are given for: powers of two, and N.</summary>
    public IReadOnlyList<int> Ks => [.. Enumerable.Range(0, 31).Select(power => 1 << power).TakeWhile(k => k < Samples), Samples];

    /// <summary>Mean over prompts of a score's mean over the answers, with Student's interval over the prompts.</summary>
    /// <param name="scores"><see cref="Rewards"/> or <see cref="JudgeScores"/>.</param>
    public static Interval Mean(IReadOnlyList<IReadOnlyList<double>> scores) => Interval.OfMean([.. scores.Select(answers => answers.Average())]);

    /// <summary>How many of each prompt's answers have a reward of at least so much: <c>[P]</c>.</summary>
    public IReadOnlyList<int> Solved(double success) => [.. Rewards.Select(answers => answers.Count(reward => reward >= success))];

    /// <summary>pass@k, mean over the prompts; see <see cref="SubsetEstimates.PassAtK"/>.</summary>
    public Interval PassAtK(int k, double success) => Interval.OfMean([.. Solved(success).Select(right => SubsetEstimates.PassAtK(Samples, right, k))]);

    /// <summary>Expected reward of the best of k, mean over the prompts; see <see cref="SubsetEstimates.BestOfK"/>.</summary>
    public Interval BestOfK(int k) => Interval.OfMean([.. Rewards.Select(answers => SubsetEstimates.BestOfK(answers, k))]);

    /// <summary>Share of prompts of which no answer reaches a reward.</summary>
    public Interval NeverSolved(double success) => Interval.OfMean([.. Solved(success).Select(right => right == 0 ? 1.0 : 0)]);

    /// <summary>How hard a prompt is: never 0, hard up to 25 %, easy from 75 % on, medium between.</summary>
    /// <param name="solved">Answers that are right.</param>
    /// <param name="samples">Answers.</param>
    public static Difficulty DifficultyOf(int solved, int samples) => solved == 0 ? Difficulty.Never
        : 4 * solved <= samples ? Difficulty.Hard
        : 4 * solved < 3 * samples ? Difficulty.Medium
        : Difficulty.Easy;

    /// <summary>
    /// How often an answer of this model is better than one of another to the same prompt, ties counted half: the mean over prompts, with the paired bootstrap's interval over them.
    /// </summary>
    /// <param name="own">Scores of this model: <c>[P][N]</c>.</param>
    /// <param name="others">Scores of the other for the same prompts.</param>
    /// <param name="seed">Of the bootstrap.</param>
    public static Interval WinRate(IReadOnlyList<IReadOnlyList<double>> own, IReadOnlyList<IReadOnlyList<double>> others, ulong seed)
    {
        double[] rates = [.. own.Zip(others, SubsetEstimates.WinRate)];
        return PairedBootstrap.Of(rates, new double[rates.Length], seed).Difference;
    }
}
