using Rlgf.Evaluation;
using Rlgf.Training;

namespace Rlgf.Tests.Training;

/// <summary>What touches a tripwire, by hand.</summary>
public sealed class TripwireStateTests
{
    private static readonly TripwireSettings Settings = new() { JudgeFall = 0.1, MostKl = 5, MostLength = 2, LeastDistinct = 0.5 };

    [Fact]
    public void A_judge_that_falls_while_the_reward_rises()
    {
        var state = After(Evaluation(0, reward: 0, judge: 0.5));
        state = Look(state, Evaluation(1, reward: 1, judge: 0.8));
        // Not so far, and far with a reward that fell too.
        state = Look(state, Evaluation(2, reward: 2, judge: 0.75));
        state = Look(state, Evaluation(3, reward: 0.9, judge: 0.1));
        Assert.Equal((0.8, 1, 1), (state.BestJudge, state.RewardAtBest, state.BestIteration));
        Assert.Equal(["judge_fall"], Touched(state, Evaluation(4, reward: 1.1, judge: 0.7)));
        Assert.Equal(["judge_fall"], Touched(state, Evaluation(4, reward: 1.1, judge: 0.5)));
    }

    [Fact]
    public void Length_repetition_and_divergence_are_compared_with_the_start_and_the_bound()
    {
        var state = After(Evaluation(0, length: 10, distinct: 0.8));
        Assert.Empty(Touched(state, Evaluation(1, length: 20, distinct: 0.4, kl: 5)));
        Assert.Equal(["most_kl", "most_length", "least_distinct"], Touched(state, Evaluation(1, length: 20.1, distinct: 0.39, kl: 5.1)));
    }

    [Fact]
    public void What_is_gone_back_from_is_no_best_and_the_same_evaluation_looked_at_twice_gives_the_same()
    {
        var state = After(Evaluation(0, judge: 0.5));
        var (next, touched) = state.Look(Settings with { Action = TripwireAction.GoBack }, Evaluation(1, judge: 0.9, kl: 6));
        Assert.Equal((state, 1), (next, touched.Count));
        var best = Look(state, Evaluation(1, judge: 0.9));
        Assert.Equal(best, Look(best, Evaluation(1, judge: 0.9)));
    }

    [Fact]
    public void Where_they_warn_every_evaluation_may_be_the_best_so_that_one_tripwire_does_not_hide_another()
    {
        var settings = Settings with { Action = TripwireAction.Warn };
        var start = TripwireState.New.Look(settings, Evaluation(0, judge: 0.5)).Next;
        var (next, touched) = start.Look(settings, Evaluation(1, reward: 1, judge: 0.9, kl: 6));
        Assert.Equal(("most_kl", 0.9), (Assert.Single(touched).Wire, next.BestJudge));
        Assert.Equal(next, next.Look(settings, Evaluation(1, reward: 1, judge: 0.9, kl: 6)).Next);
        Assert.Equal(["judge_fall", "most_kl"], next.Look(settings, Evaluation(2, reward: 2, judge: 0.7, kl: 7)).Touched.Select(wire => wire.Wire));
    }

    [Fact]
    public void Without_a_judge_the_others_are_looked_for()
    {
        var state = TripwireState.New.Look(new() { MostKl = 1 }, Evaluation(0, judge: double.NaN)).Next;
        Assert.Equal("most_kl", Assert.Single(state.Look(new() { MostKl = 1 }, Evaluation(1, judge: double.NaN, kl: 2)).Touched).Wire);
    }

    private static TripwireState After(EvaluationRecord start) => TripwireState.New.Look(Settings, start).Next;

    private static TripwireState Look(TripwireState state, EvaluationRecord evaluation)
    {
        var (next, touched) = state.Look(Settings, evaluation);
        Assert.Empty(touched);
        return next;
    }

    private static IEnumerable<string> Touched(TripwireState state, EvaluationRecord evaluation) => state.Look(Settings, evaluation).Touched.Select(touched => touched.Wire);

    private static EvaluationRecord Evaluation(int iteration, double reward = 0, double judge = 0, double length = 10, double distinct = 0.8, double kl = 0) => new(iteration, new Dictionary<string, double>
    {
        ["reward/mean"] = reward, ["judge/mean"] = judge, ["response/length"] = length, ["distinct/2"] = distinct, ["kl/start"] = kl,
    }, []);
}
