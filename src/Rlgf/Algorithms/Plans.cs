using Rlgf.Rollouts;

namespace Rlgf.Algorithms;

/// <summary>From settings to the plan of one iteration: a pure function of the iteration's number, a coin and what the guide is worth.</summary>
public static class Plans
{
    /// <summary>The plan of an iteration.</summary>
    /// <param name="algorithm">The algorithm.</param>
    /// <param name="iteration">From 0.</param>
    /// <param name="coin">Uniform in [0, 1), drawn for this iteration.</param>
    /// <param name="guidance">g in [0, 1] that scales β and c where the algorithm is scaled by what the guide is worth; 1 leaves them as they are.</param>
    /// <param name="hasSwitched">Whether the gap has told the algorithm to switch before its iteration.</param>
    public static RolloutPlan Of(AlgorithmSettings algorithm, int iteration, double coin, double guidance = 1, bool hasSwitched = false)
    {
        var phase = PhaseOf(algorithm, iteration, coin, hasSwitched);
        var scale = algorithm.ScalesGuide ? guidance : 1;
        return new RolloutPlan(phase.RollIn, phase.RollOut, phase.RollInProbability * scale, phase.Lengths, algorithm.GuideCredit * scale);
    }

    /// <summary>The phase of an iteration.</summary>
    /// <param name="algorithm">The algorithm.</param>
    /// <param name="iteration">From 0.</param>
    /// <param name="coin">Uniform in [0, 1), drawn for this iteration.</param>
    /// <param name="hasSwitched">Whether the gap has told the algorithm to switch before its iteration.</param>
    public static RolloutPhase PhaseOf(AlgorithmSettings algorithm, int iteration, double coin, bool hasSwitched = false)
    {
        var isFirst = algorithm.Schedule switch
        {
            PlanSchedule.Coin => coin < algorithm.FirstProbability,
            PlanSchedule.Switch => iteration < algorithm.SwitchIteration && !hasSwitched,
            _ => true,
        };
        return isFirst ? algorithm.First : algorithm.Second ?? algorithm.First;
    }
}
