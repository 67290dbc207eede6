using System.Globalization;
using Rlgf.Algorithms;
using Rlgf.Rollouts;
using Rlgf.Statistics;

namespace Rlgf.Worth;

/// <summary>A sign that guidance fails in a known way.</summary>
/// <param name="Name">Its name: said once a run.</param>
/// <param name="Message">One line: what was measured, and what to try.</param>
public sealed record WorthSign(string Name, string Message);

/// <summary>
/// The ways in which guidance fails that a run can see: the policy hardly ever writes what the guide writes; it stays below its guide and rises no more; the guide goes on finishing what the policy finishes better, or stops before the policy
/// gained anything. Each is said only where the numbers leave little doubt: no false alarm costs less than a late one.
/// </summary>
public static class WorthSigns
{
    /// <summary>The confidence of an interval that must lie on one side of 0.</summary>
    private const double OfGap = 0.999;

    /// <summary>The confidence of the slope's interval.</summary>
    private const double OfSlope = 0.98;

    /// <summary>Fewer pairs than this say nothing: rewards are few different numbers, and Student's interval is for the mean of many.</summary>
    private const int FewestPairs = 24;

    /// <summary>A policy that would close less than this share of the gap in as many iterations again rises no more.</summary>
    private const double Progress = 0.25;

    /// <summary>From this distance on (nats a token: 20 times less likely) the policy hardly ever writes what the guide does.</summary>
    private const double Far = 3;

    /// <summary>The first sign that there is and that wasn't said yet; null for none.</summary>
    /// <param name="worth">What was measured, the iteration that ended included.</param>
    /// <param name="settings">How.</param>
    /// <param name="algorithm">The algorithm.</param>
    /// <param name="next">The next iteration, from 0.</param>
    /// <param name="iterations">Iterations of the run.</param>
    public static WorthSign? Of(GuideWorth worth, GuideWorthSettings settings, AlgorithmSettings algorithm, int next, int iterations)
    {
        var gap = worth.Gap(settings.Window, OfGap);
        if (gap.Count < FewestPairs || next >= iterations) return null;
        return new[] { HeldBack(), StoppedEarly(), Stays() }.OfType<WorthSign>().FirstOrDefault(sign => !worth.Said.Contains(sign.Name));

        WorthSign? HeldBack()
        {
            var hasSwitched = worth.SwitchedAt is not null;
            var finishes = algorithm.Schedule == PlanSchedule.Switch
                ? Plans.PhaseOf(algorithm, next, 0, hasSwitched).RollOut == Actor.Guide
                : algorithm.ScheduledPhases.Any(phase => phase.RollOut == Actor.Guide);
            return !finishes || gap.High >= 0 ? null : new("held_back", string.Create(CultureInfo.InvariantCulture,
                $"the policy finishes its own beginnings better than the guide, by {-gap.Mean:0.###} ± {gap.HalfWidth:0.###} over {gap.Count} pairs, and the guide still finishes {(algorithm.Schedule == PlanSchedule.Coin ? "some of them" : "them")}: ")
                + $"it holds the policy back; let the policy finish from here on (d2lols with algorithm.switch_iteration: {next.ToString(CultureInfo.InvariantCulture)} or switch_at_gap: 0, or ppo_plus_plus)");
        }

        WorthSign? StoppedEarly()
        {
            var isSwitch = algorithm.Schedule == PlanSchedule.Switch && algorithm.First.RollOut == Actor.Guide && algorithm.Second?.RollOut == Actor.Policy && next == algorithm.SwitchIteration && worth.SwitchedAt is null;
            return !isSwitch || gap.Low <= 0 || Gain() is not { } gain ? null : new("stopped_early", string.Create(CultureInfo.InvariantCulture,
                $"'{algorithm.Name}' goes over to the policy's own endings now, and the guide still finishes better, by {gap.Mean:0.###} ± {gap.HalfWidth:0.###} over {gap.Count} pairs, while the policy has gained nothing that could be seen ({gain}): ")
                + "switch later (algorithm.switch_iteration), or when the gap is closed (algorithm.switch_at_gap: 0)");
        }

        WorthSign? Stays()
        {
            // Guided training that works often shows nothing for a long time, so that it is judged in its second half; and an algorithm that hasn't had its second phase by that.
            if (2 * next < iterations || worth.Recent.Count < 2 * settings.Window || gap.Low <= 0 || (algorithm.Schedule == PlanSchedule.Switch && next <= algorithm.SwitchIteration && worth.SwitchedAt is null) || Gain() is not { } gain) return null;
            var (distance, seen) = (worth.Distance(2 * settings.Window), string.Create(CultureInfo.InvariantCulture,
                $"the policy stays at {worth.Policy(settings.Window):0.###} where the guide makes {worth.Guide(settings.Window):0.###} of the same beginnings ({gap.Count} pairs), and rises no more ({gain})"));
            return distance >= Far
                ? new("too_far", string.Create(CultureInfo.InvariantCulture, $"{seen}; a token of the guide's is {distance:0.0} nats less likely to it than one of its own, so that it hardly ever comes to where the guide leads: ")
                    + "let it learn the guide's texts first (rlgf guide sample, rlgf sft), take adaptive, which imitates them, or a guide that writes more as the policy does")
                : new("no_capacity", $"{seen}, though it writes much as the guide does: it may be too small for the task, or '{algorithm.Name}' may not learn from this guide; see what supervised training on the guide's right answers reaches (rlgf guide sample, rlgf sft). "
                    + $"Where that is no more, take a larger model; where it is, {(algorithm.Lessons is null ? "adaptive, " : "")}a larger learning rate or a smaller kl.coefficient");
        }

        // How much the policy rose over what is remembered, in words; null where it may have risen by more than a small part of the gap, or rows with the guide's help did.
        string? Gain()
        {
            if (Rise(worth, measured => [measured.Trained]).Low > 0) return null;
            var rise = Rise(worth, measured => measured.Policy);
            return rise.High < Progress * gap.Mean ? string.Create(CultureInfo.InvariantCulture, $"{rise.Mean:+0.###;−0.###;0} ± {rise.HalfWidth:0.###} over {worth.Recent.Count} measured iterations") : null;
        }
    }

    /// <summary>How much a reward rose over the measured iterations: the slope of a straight line through all values, times their span.</summary>
    private static Interval Rise(GuideWorth worth, Func<WorthMeasurement, IReadOnlyList<double>> rewards)
    {
        (double X, double Y)[] points = [.. worth.Recent.SelectMany(rewards, (measured, reward) => ((double)measured.Iteration, reward))];
        return LinearTrend.Of(points, OfSlope) is { } slope && worth.Recent[^1].Iteration - worth.Recent[0].Iteration is var span
            ? new(slope.Mean * span, slope.Low * span, slope.High * span, points.Length)
            : new(double.NaN, double.NaN, double.NaN, points.Length);
    }
}
