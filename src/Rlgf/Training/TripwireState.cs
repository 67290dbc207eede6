using Rlgf.Evaluation;

namespace Rlgf.Training;

/// <summary>What tripwires compare with; a checkpoint keeps it.</summary>
/// <param name="StartLength">Mean length of the start's answers; NaN before the first evaluation.</param>
/// <param name="StartDistinct">Their share of different pairs of words.</param>
/// <param name="BestJudge">The judge's highest mean so far, of all evaluations where tripwires warn, or else of those that touched none.</param>
/// <param name="RewardAtBest">The mean reward of that evaluation.</param>
/// <param name="BestIteration">Iterations before it.</param>
/// <param name="GoBacks">How often the run has gone back.</param>
/// <param name="Raised">What that has multiplied the KL coefficient by, all times together: it stays the run's where the recipe's section is changed or left out.</param>
/// <param name="Good">Iterations before the newest checkpoint whose evaluation touched nothing, which is kept; null while there is none.</param>
public sealed record TripwireState(double StartLength, double StartDistinct, double BestJudge, double RewardAtBest, int BestIteration, int GoBacks, double Raised = 1, int? Good = null)
{
    /// <summary>Where a run begins.</summary>
    internal static TripwireState New { get; } = new(double.NaN, double.NaN, double.NegativeInfinity, double.NaN, 0, 0);

    /// <summary>Looks at an evaluation. Looked at twice, it gives the same.</summary>
    /// <param name="settings">What is looked for.</param>
    /// <param name="evaluation">The evaluation.</param>
    /// <returns>What is compared with from now on, and what was touched: the recipe's key, and what was seen in a clause.</returns>
    public (TripwireState Next, IReadOnlyList<(string Wire, string Seen)> Touched) Look(TripwireSettings settings, EvaluationRecord evaluation)
    {
        var metrics = evaluation.Metrics;
        var (reward, judge, length, distinct) = (metrics["reward/mean"], metrics["judge/mean"], metrics["response/length"], metrics["distinct/2"]);
        // Of a run that got its tripwires when it went on, the first evaluation that is looked at stands for the start.
        if (evaluation.Iteration == 0 || (double.IsNaN(StartLength) && !double.IsNaN(length)))
        {
            var begun = this with { StartLength = length, StartDistinct = distinct, BestJudge = judge, RewardAtBest = reward, BestIteration = evaluation.Iteration };
            return evaluation.Iteration == 0 ? (begun, []) : begun.Look(settings, evaluation);
        }

        var touched = new List<(string, string)>();
        // A judge that fell with the reward is a policy that got worse, not one that climbs a wrong reward.
        if (judge <= BestJudge - settings.JudgeFall && reward > RewardAtBest)
            touched.Add(("judge_fall", FormattableString.Invariant($"the judge fell from {BestJudge:0.000} after {BestIteration} iterations to {judge:0.000} while the reward rose from {RewardAtBest:0.000} to {reward:0.000}")));
        if (metrics["kl/start"] > settings.MostKl)
            touched.Add(("most_kl", FormattableString.Invariant($"the KL from the start is {metrics["kl/start"]:0.00} nats a response, above {settings.MostKl}")));
        if (length > StartLength * settings.MostLength)
            touched.Add(("most_length", FormattableString.Invariant($"responses have {length:0.0} tokens, more than {settings.MostLength} times the start's {StartLength:0.0}")));
        if (distinct < StartDistinct * settings.LeastDistinct)
            touched.Add(("least_distinct", FormattableString.Invariant($"texts repeat: {distinct:0.000} of the pairs of words are different, below {settings.LeastDistinct} of the start's {StartDistinct:0.000}")));
        // What is gone back from, or stopped at, is no best to go on from.
        return ((touched.Count == 0 || settings.Action == TripwireAction.Warn) && judge > BestJudge ? this with { BestJudge = judge, RewardAtBest = reward, BestIteration = evaluation.Iteration } : this, touched);
    }
}
