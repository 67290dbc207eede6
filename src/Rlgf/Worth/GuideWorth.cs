using System.Collections.Immutable;
using System.Text.Json;
using Rlgf.Base;
using Rlgf.Statistics;

namespace Rlgf.Worth;

/// <summary>What was measured in one iteration: beginnings that policy and guide both finished.</summary>
/// <param name="Iteration">From 0.</param>
/// <param name="Guide">Rewards of what the guide finished, a value for each beginning.</param>
/// <param name="Policy">Rewards of what the policy made of the same beginnings, in the same order.</param>
/// <param name="GuideNats">−log π_θ of a token that the guide wrote, the mean over all of them: how unlikely it is that the policy finds it. NaN where it wrote none.</param>
/// <param name="PolicyNats">The same of what the policy wrote.</param>
/// <param name="Trained">The mean reward of the iteration's own rows, with whatever the guide wrote of them: where a policy learns to finish what the guide began, it rises before anything else.</param>
public sealed record WorthMeasurement(int Iteration, IReadOnlyList<double> Guide, IReadOnlyList<double> Policy, double GuideNats, double PolicyNats, double Trained)
{
    /// <summary>Guide less policy, beginning by beginning.</summary>
    internal IEnumerable<double> Differences => Guide.Zip(Policy, (guide, policy) => guide - policy);
}

/// <summary>What the guide was worth lately. Immutable, and itself the state that a checkpoint keeps.</summary>
/// <param name="Recent">The last measured iterations, twice the window at most, the oldest first.</param>
public sealed record GuideWorth(ImmutableList<WorthMeasurement> Recent)
{
    private const string Format = "rlgf worth 1";

    /// <summary>Nothing measured.</summary>
    public static GuideWorth New { get; } = new([]);

    /// <summary>The first iteration of the second phase, where the algorithm switches by the gap and has; null before.</summary>
    public int? SwitchedAt { get; init; }

    /// <summary>Signs that were said, each once.</summary>
    public ImmutableSortedSet<string> Said { get; init; } = [];

    /// <summary>The state after another measurement.</summary>
    /// <param name="measured">What was measured.</param>
    /// <param name="settings">How it is.</param>
    /// <param name="switchAtGap">The gap at which the algorithm goes over to its second phase; null where it doesn't go by it.</param>
    public GuideWorth After(WorthMeasurement measured, GuideWorthSettings settings, double? switchAtGap)
    {
        var recent = Recent.Add(measured);
        if (recent.Count > 2 * settings.Window) recent = recent.RemoveAt(0);
        var after = this with { Recent = recent };
        var switches = SwitchedAt is null && switchAtGap is { } least && recent.Count >= settings.Window && after.Gap(settings.Window).Mean <= least;
        return switches ? after with { SwitchedAt = measured.Iteration + 1 } : after;
    }

    /// <summary>The gap: how much more the guide makes of a beginning than the policy, in the reward's unit, with Student's interval over the pairs of the last measured iterations.</summary>
    /// <param name="iterations">How many of them.</param>
    /// <param name="confidence">Of the interval.</param>
    public Interval Gap(int iterations, double confidence = 0.95) => Interval.OfMean([.. Last(iterations).SelectMany(measured => measured.Differences)], confidence);

    /// <summary>The mean reward of what the policy finished.</summary>
    /// <param name="iterations">Over how many of the last measured iterations.</param>
    public double Policy(int iterations) => Last(iterations).SelectMany(measured => measured.Policy).DefaultIfEmpty(double.NaN).Average();

    /// <summary>The mean reward of what the guide finished.</summary>
    /// <param name="iterations">Over how many of the last measured iterations.</param>
    public double Guide(int iterations) => Last(iterations).SelectMany(measured => measured.Guide).DefaultIfEmpty(double.NaN).Average();

    /// <summary>By how many nats a token of the guide's is less likely to be written by the policy than one of its own; NaN where nobody wrote.</summary>
    /// <param name="iterations">Over how many of the last measured iterations.</param>
    public double Distance(int iterations) => Last(iterations).Select(measured => measured.GuideNats - measured.PolicyNats).Where(double.IsFinite).DefaultIfEmpty(double.NaN).Average();

    private IEnumerable<WorthMeasurement> Last(int iterations) => Recent.Skip(Math.Max(0, Recent.Count - iterations));

    /// <summary>Writes it; every number whole.</summary>
    /// <param name="stream">Where to.</param>
    public void Write(Stream stream) => JsonSerializer.Serialize(stream, new Saved(Format, [.. Recent.Select(SavedMeasurement.Of)], SwitchedAt, [.. Said]));

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="InputException">It is of another format or damaged; names it.</exception>
    public static GuideWorth Read(string path)
    {
        var saved = StateJson.Read<Saved>(path, "what the guide was worth is", Format, saved =>
            saved is { Format: Format, Recent: { } recent, Said: not null } && recent.All(measured => measured is { Guide: not null, Policy: not null }));
        return new([.. saved.Recent!.Select(measured => measured.ToMeasurement())]) { SwitchedAt = saved.SwitchedAt, Said = [.. saved.Said!] };
    }

    private sealed record Saved(string? Format, SavedMeasurement[]? Recent, int? SwitchedAt, string[]? Said);

    /// <summary>JSON has no NaN.</summary>
    private sealed record SavedMeasurement(int Iteration, double[] Guide, double[] Policy, double? GuideNats, double? PolicyNats, double Trained)
    {
        public static SavedMeasurement Of(WorthMeasurement measured) =>
            new(measured.Iteration, [.. measured.Guide], [.. measured.Policy], double.IsNaN(measured.GuideNats) ? null : measured.GuideNats, double.IsNaN(measured.PolicyNats) ? null : measured.PolicyNats, measured.Trained);

        public WorthMeasurement ToMeasurement() => new(Iteration, Guide, Policy, GuideNats ?? double.NaN, PolicyNats ?? double.NaN, Trained);
    }
}
