using System.Globalization;
using Rlgf.Evaluation;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Statistics;

namespace Rlgf.App.Report;

/// <summary>How much the reward has risen in a run, for what its guide has written: a rate, not what the guide alone did.</summary>
/// <param name="From">Mean reward at the beginning.</param>
/// <param name="To">Mean reward at the end.</param>
/// <param name="Tokens">Tokens that the guide has written since.</param>
/// <param name="HalfWidth">Half the 95 % interval of the difference, paired by prompt (<see cref="PairedDifference"/>); NaN where the rewards are not of the same prompts.</param>
/// <param name="IsHeldOut">Whether the rewards are those of held-out prompts; else they are those of the first and of the last iteration.</param>
internal sealed record GuidanceGain(double From, double To, double Tokens, double HalfWidth, bool IsHeldOut)
{
    private const string Reward = "reward/mean", GuideTokens = "tokens/guide";

    /// <summary>What a run's folder says; null where it has no two measurements, or the guide has written nothing that was learned from.</summary>
    public static GuidanceGain? Of(RunFolder folder) => Of(folder.ReadMetrics(), folder.ReadEvaluations());

    /// <summary>The same of what was measured.</summary>
    public static GuidanceGain? Of(IReadOnlyList<IterationRecord> iterations, IReadOnlyList<EvaluationRecord> evaluations)
    {
        if (iterations.Count == 0 || !iterations[^1].Metrics.TryGetValue(GuideTokens, out var tokens) || tokens <= 0) return null;
        // Of what the guide writes to be measured only, no row learns.
        if (!iterations.Any(one => one.Plan.RollIn == Actor.Guide || one.Plan.RollOut == Actor.Guide || one.Metrics.GetValueOrDefault("roll_in/share") > 0)) return null;
        EvaluationRecord[] heldOut = [.. evaluations.OrderBy(evaluation => evaluation.Iteration)];
        if (heldOut.Length > 1)
        {
            var (start, end) = (heldOut[0], heldOut[^1]);
            var half = Evaluator.Values(Reward, start.Rows) is { } before && Evaluator.Values(Reward, end.Rows) is { } after && before.Length == after.Length ? PairedDifference.Of(after, before).Difference.HalfWidth : double.NaN;
            return new(start.Metrics[Reward], end.Metrics[Reward], tokens, half, IsHeldOut: true);
        }

        return iterations.Count > 1 && iterations[0].Metrics.TryGetValue(Reward, out var first) && iterations[^1].Metrics.TryGetValue(Reward, out var last)
            ? new(first, last, tokens, double.NaN, IsHeldOut: false)
            : null;
    }

    /// <summary>What a thousand tokens of the guide bought.</summary>
    public double PerThousand => (To - From) / Tokens * 1000;

    /// <summary>Half the interval of that, for the prompts alone: another seed is another run.</summary>
    public double HalfWidthPerThousand => HalfWidth / Tokens * 1000;

    /// <summary>As a line.</summary>
    public string Line => string.Create(
        CultureInfo.InvariantCulture,
        $"guidance: the {(IsHeldOut ? "held-out reward" : "reward of training")} went from {From:0.0000} to {To:0.0000} with {Tokens:#,0} tokens of the guide's: {PerThousand:+0.0000;-0.0000;0.0000}{(double.IsFinite(HalfWidth) ? $" ± {HalfWidthPerThousand.ToString("0.0000", CultureInfo.InvariantCulture)}" : "")} for a thousand");
}
