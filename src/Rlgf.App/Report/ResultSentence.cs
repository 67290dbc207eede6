using Rlgf.Statistics;

namespace Rlgf.App.Report;

/// <summary>The outcome in a sentence or two, no stronger than the intervals allow.</summary>
internal static class ResultSentence
{
    /// <summary>Says it.</summary>
    public static string Of(ResultsTable table) => table.Algorithms.Count switch
    {
        0 => "Nothing has been evaluated yet.",
        1 => OfOne(table.Algorithms[0]),
        _ => OfMany(table),
    };

    private static string OfOne(ResultsRow row)
    {
        var text = row.Over(row.Start) is not { } gain
            ? $"{row.Name} reaches a held-out reward of {Mean(row.Reward)} after {row.Iterations} iterations"
            : (Clear(gain) switch
            {
                > 0 => $"{row.Name} raised the held-out reward from {Number.Fixed(row.Start!.Reward.Mean, 3)} to {Number.Fixed(row.Reward.Mean, 3)}",
                < 0 => $"{row.Name} lowered the held-out reward from {Number.Fixed(row.Start!.Reward.Mean, 3)} to {Number.Fixed(row.Reward.Mean, 3)}",
                _ => $"{row.Name} did not clearly change the held-out reward, {Number.Fixed(row.Start!.Reward.Mean, 3)} before and {Number.Fixed(row.Reward.Mean, 3)} after",
            }) + $" in {row.Iterations} iterations ({Difference(gain)})";
        return text + (row.Guide is null ? "" : ", " + Guide(row)) + Judge(row) + ".";
    }

    private static string OfMany(ResultsTable table)
    {
        var ranked = table.Algorithms.OrderByDescending(row => row.Reward.Mean).ToArray();
        var best = ranked[0];
        var apart = best.Over(ranked[1])!;
        var text = $"{best.Name} ends with the highest held-out reward, {Mean(best.Reward)}";
        text += Clear(apart) > 0 ? $", ahead of {ranked[1].Name} by {Difference(apart)}" : $", though not clearly ahead of {ranked[1].Name} ({Difference(apart)})";
        if (best.Guide is not null) text += (Clear(apart) > 0 ? " and " : ", ") + Guide(best);
        if (best.Ppo is { } ppo && ppo.Name != ranked[1].Name) text += $"; over PPO it is {Difference(best.Over(ppo)!)}";
        if (best.Start is { } start) text += $"; the starting model has {Number.Fixed(start.Reward.Mean, 3)}";
        return text + Judge(best) + ".";
    }

    private static string Guide(ResultsRow row) => row.Over(row.Guide) is not { } over ? "" : Clear(over) switch
    {
        > 0 => $"above the guide's {Number.Fixed(row.Guide!.Reward.Mean, 3)}",
        < 0 => $"below the guide's {Number.Fixed(row.Guide!.Reward.Mean, 3)}",
        _ => $"not clearly apart from the guide's {Number.Fixed(row.Guide!.Reward.Mean, 3)}",
    };

    private static string Judge(ResultsRow row)
    {
        if (row.Start is null || row.JudgeOver(row.Start) is not { } over || !double.IsFinite(over.Mean)) return "";
        var scores = $"{Number.Fixed(row.Start.Judge.Mean, 3)} at the start, {Number.Fixed(row.Judge.Mean, 3)} now";
        return Clear(over) switch
        {
            > 0 => $"; the judge that training never saw agrees ({scores})",
            < 0 => $"; the judge that training never saw disagrees ({scores})",
            _ => $"; the judge that training never saw sees no clear change ({scores})",
        };
    }

    /// <summary>1 or −1 where the interval lies on one side of 0, else 0.</summary>
    private static int Clear(Interval difference) => difference.Low > 0 ? 1 : difference.High < 0 ? -1 : 0;

    private static string Mean(Interval mean) => double.IsFinite(mean.HalfWidth) ? $"{Number.Fixed(mean.Mean, 3)} ± {Number.Fixed(mean.HalfWidth, 3)}" : Number.Fixed(mean.Mean, 3);

    private static string Difference(Interval difference) =>
        double.IsFinite(difference.HalfWidth) ? $"{Number.Signed(difference.Mean, 3)} ± {Number.Fixed(difference.HalfWidth, 3)}" : Number.Signed(difference.Mean, 3);
}
