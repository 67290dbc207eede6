using Rlgf.Base;

namespace Rlgf.Rollouts;

/// <summary>How the share ρ of the guide's text that a roll-in keeps is drawn.</summary>
public enum CutRule
{
    /// <summary>ρ uniform in [<c>low</c>, <c>high</c>). R³ (Xi et al. 2024, arXiv 2402.05808) with the whole window; a constant share where the two are equal.</summary>
    Window,

    /// <summary>ρ = k / <c>chunks</c>, k binomial of that many draws that succeed with <c>probability</c>. UFT (Liu et al. 2025, arXiv 2505.16984).</summary>
    Binomial,

    /// <summary>
    /// ρ uniform in an interval that each prompt has of its own. A trial that succeeded (a share of at least <c>success_rate</c> of its rows) makes ρ the interval's end and 0 its beginning, one that failed makes ρ
    /// its beginning. AdaBack (arXiv 2506.18110).
    /// </summary>
    Interval,

    /// <summary>
    /// ρ = k / <c>chunks</c>, for each prompt the place that halves what is left between a k that was too hard (less than <c>success_low</c> of its rows succeeded) and one that was too easy (more than
    /// <c>success_high</c>). BREAD (arXiv 2506.17211).
    /// </summary>
    Bisect,

    /// <summary>ρ = k / <c>chunks</c> in the k-th further writing of a gate. GHPO's levels are those of 4 chunks.</summary>
    Ladder,
}

/// <summary>How the numbers of a cut rule go from their first values to their final ones.</summary>
public enum CutSchedule
{
    /// <summary>They stay.</summary>
    Constant,

    /// <summary>In a straight line.</summary>
    Linear,

    /// <summary>Along half a cosine: slowly at first and at the end.</summary>
    Cosine,

    /// <summary>In equal steps, of which the first has the first values and the last the final ones.</summary>
    Stages,
}

/// <summary>
/// Where the guide's text is cut, for <see cref="RollInLengths.Share"/>: r = ⌊ρ · L⌋ of its L tokens, the end token not counted, by a share ρ that a rule draws. A key left out, or null, is the algorithm's own.
/// </summary>
public sealed record CutSettings
{
    /// <summary>How ρ is drawn.</summary>
    public CutRule? Rule { get; init; }

    /// <summary>For <c>window</c>: the least share. 0 if nothing says otherwise.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? Low { get; init; }

    /// <summary>For <c>window</c>: the largest share. 1 if nothing says otherwise.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? High { get; init; }

    /// <summary>For <c>window</c> with a schedule: the least share at its end; null for <c>low</c>.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? FinalLow { get; init; }

    /// <summary>For <c>window</c> with a schedule: the largest share at its end; null for <c>high</c>.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? FinalHigh { get; init; }

    /// <summary>For <c>binomial</c>, <c>bisect</c> and <c>ladder</c>: into how many equal parts the text is cut. 5, 10 and 4 if nothing says otherwise.</summary>
    [Limits(AtLeast = 1, AtMost = 1000)]
    public int? Chunks { get; init; }

    /// <summary>For <c>binomial</c>: the probability of each part.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? Probability { get; init; }

    /// <summary>For <c>binomial</c> with a schedule: the probability at its end; null for <c>probability</c>.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? FinalProbability { get; init; }

    /// <summary>For <c>interval</c>: the share of a trial's rows that must succeed for less to be given. 0.5 if nothing says otherwise.</summary>
    [Limits(Above = 0, AtMost = 1)]
    public double? SuccessRate { get; init; }

    /// <summary>For <c>interval</c>: the probability that nothing is given, so that the policy is trained on what it is asked in the end. 0.05 if nothing says otherwise.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? NothingProbability { get; init; }

    /// <summary>For <c>interval</c>: weight of the past in the moving mean of the intervals, with which a new prompt begins. 0.9 if nothing says otherwise.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? Memory { get; init; }

    /// <summary>For <c>bisect</c>: a trial of which a smaller share of the rows succeeded was too hard. 0.25 if nothing says otherwise.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? SuccessLow { get; init; }

    /// <summary>For <c>bisect</c>: a trial of which a larger share of the rows succeeded was too easy. 0.75 if nothing says otherwise.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double? SuccessHigh { get; init; }

    /// <summary>How the numbers above go from the first values to the final ones.</summary>
    public CutSchedule? Schedule { get; init; }

    /// <summary>Iterations that the schedule takes; null: until the switch, for algorithms that switch.</summary>
    [Limits(AtLeast = 1)]
    public int? Iterations { get; init; }

    /// <summary>For the schedule <c>stages</c>: how many.</summary>
    [Limits(AtLeast = 2, AtMost = 10_000)]
    public int? Stages { get; init; }

    /// <summary>These settings where they say something, others where they don't, and what nothing says as it is by default.</summary>
    /// <param name="own">The algorithm's own; null for none.</param>
    public CutSettings Over(CutSettings? own)
    {
        // Another rule than the algorithm's has nothing of its numbers.
        if (own is not null && Rule is { } other && other != own.Rule) own = null;
        var rule = Rule ?? own?.Rule ?? CutRule.Window;
        double? If(CutRule of, double value) => rule == of ? value : null;
        return new()
        {
            Rule = rule,
            Low = Low ?? own?.Low ?? If(CutRule.Window, 0),
            High = High ?? own?.High ?? If(CutRule.Window, 1),
            FinalLow = FinalLow ?? own?.FinalLow,
            FinalHigh = FinalHigh ?? own?.FinalHigh,
            Chunks = Chunks ?? own?.Chunks ?? rule switch { CutRule.Binomial => 5, CutRule.Bisect => 10, CutRule.Ladder => 4, _ => null },
            Probability = Probability ?? own?.Probability,
            FinalProbability = FinalProbability ?? own?.FinalProbability,
            SuccessRate = SuccessRate ?? own?.SuccessRate ?? If(CutRule.Interval, 0.5),
            NothingProbability = NothingProbability ?? own?.NothingProbability ?? If(CutRule.Interval, 0.05),
            Memory = Memory ?? own?.Memory ?? If(CutRule.Interval, 0.9),
            SuccessLow = SuccessLow ?? own?.SuccessLow ?? If(CutRule.Bisect, 0.25),
            SuccessHigh = SuccessHigh ?? own?.SuccessHigh ?? If(CutRule.Bisect, 0.75),
            Schedule = Schedule ?? own?.Schedule ?? (rule is CutRule.Window or CutRule.Binomial ? CutSchedule.Constant : null),
            Iterations = Iterations ?? own?.Iterations,
            Stages = Stages ?? own?.Stages,
        };
    }

    /// <summary>Whether it knows something of each prompt (<see cref="CutState"/>).</summary>
    public bool HasState => Rule is CutRule.Interval or CutRule.Bisect;

    /// <summary>The key whose value makes that nothing of the guide's text is ever given; null where something is.</summary>
    internal string? GivesNothingBy => Rule switch
    {
        CutRule.Window when High == 0 && (FinalHigh ?? 0) == 0 => "high",
        CutRule.Binomial when Probability == 0 && (FinalProbability ?? 0) == 0 => "probability",
        CutRule.Interval when NothingProbability == 1 => "nothing_probability",
        _ => null,
    };

    /// <summary>What is missing, contradicts itself or is not used, by key, of settings that are filled in (<see cref="Over"/>).</summary>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        (string Key, bool IsSet, CutRule[] Rules)[] ofRules =
        [
            ("low", Low is not null, [CutRule.Window]), ("high", High is not null, [CutRule.Window]), ("final_low", FinalLow is not null, [CutRule.Window]), ("final_high", FinalHigh is not null, [CutRule.Window]),
            ("probability", Probability is not null, [CutRule.Binomial]), ("final_probability", FinalProbability is not null, [CutRule.Binomial]),
            ("chunks", Chunks is not null, [CutRule.Binomial, CutRule.Bisect, CutRule.Ladder]),
            ("success_rate", SuccessRate is not null, [CutRule.Interval]), ("nothing_probability", NothingProbability is not null, [CutRule.Interval]), ("memory", Memory is not null, [CutRule.Interval]),
            ("success_low", SuccessLow is not null, [CutRule.Bisect]), ("success_high", SuccessHigh is not null, [CutRule.Bisect]),
            ("schedule", Schedule is not null, [CutRule.Window, CutRule.Binomial]),
        ];
        foreach (var (key, isSet, rules) in ofRules)
            if (isSet && !rules.Contains(Rule!.Value)) yield return (key, $"it belongs to the rule {string.Join(" or ", rules.Select(rule => rule.ToString().ToLowerInvariant()))}; leave it out");
        var (isWindow, isBinomial, moves) = (Rule == CutRule.Window, Rule == CutRule.Binomial, Schedule is not (null or CutSchedule.Constant));
        if (isBinomial && Probability is null) yield return ("probability", "the rule binomial must have it: the probability of each part of the text");
        foreach (var (key, isSet) in new[] { ("final_low", FinalLow is not null), ("final_high", FinalHigh is not null), ("final_probability", FinalProbability is not null), ("iterations", Iterations is not null) })
            if (isSet && !moves) yield return (key, "it belongs to a schedule; set schedule: linear, cosine or stages, or leave it out");
        if (moves && Iterations is null) yield return ("iterations", "a schedule must have it: the iterations until the final values");
        if (moves && (FinalLow, FinalHigh, FinalProbability) is (null, null, null)) yield return ("schedule", $"nothing has a final value; set {(isWindow ? "final_low or final_high" : "final_probability")}, or leave it out");
        if ((Schedule == CutSchedule.Stages) != Stages is not null) yield return ("stages", "the schedule stages and the number of stages belong together; set both or neither");
        if (isWindow && ((Low ?? 0) > (High ?? 1) || (FinalLow ?? Low ?? 0) > (FinalHigh ?? High ?? 1))) yield return ("low", "the least share is above the largest");
        if (SuccessLow > SuccessHigh) yield return ("success_low", "it is above success_high");
    }

    /// <summary>ρ of one draw.</summary>
    /// <param name="iteration">From 0.</param>
    /// <param name="uniform">The draw's uniform numbers in [0, 1), by their place.</param>
    /// <param name="interval">What is known of the prompt, for rules with a state.</param>
    /// <param name="round">Which further writing of a gate it is, from 1.</param>
    /// <returns>In [0, 1].</returns>
    public double Draw(int iteration, Func<int, double> uniform, CutInterval? interval = null, int round = 1)
    {
        var (low, high) = (interval ?? CutInterval.Whole) is var known && Rule == CutRule.Window ? (At(iteration, Low ?? 0, FinalLow), At(iteration, High ?? 1, FinalHigh)) : (known.Low, known.High);
        switch (Rule)
        {
            case CutRule.Binomial:
                var probability = At(iteration, Probability!.Value, FinalProbability);
                return (double)Enumerable.Range(0, Chunks!.Value).Count(chunk => uniform(chunk) < probability) / Chunks.Value;
            case CutRule.Ladder:
                return Math.Min(1, (double)round / Chunks!.Value);
            case CutRule.Bisect:
                return (double)Between(known) / Chunks!.Value;
            case CutRule.Interval when uniform(1) < NothingProbability:
                return 0;
            default:
                return low + uniform(0) * (high - low);
        }
    }

    /// <summary>A prompt's interval after a trial.</summary>
    /// <param name="interval">Before it.</param>
    /// <param name="share">ρ of the trial.</param>
    /// <param name="successes">The share of its rows that succeeded.</param>
    public CutInterval After(CutInterval interval, double share, double successes)
    {
        if (Rule == CutRule.Interval) return successes >= SuccessRate ? new(0, share) : interval with { Low = share };
        if (Rule != CutRule.Bisect) return interval;
        var (chunks, tried, wasSettled) = (Chunks!.Value, Part(share), IsSettled(interval));
        var (low, high) = (Part(interval.Low), Part(interval.High));
        if (successes < SuccessLow)
            // Where even the end of the search fails, more than ever is needed.
            (low, high) = tried < high ? (tried, high) : tried < chunks ? (tried, chunks) : (chunks - 1, chunks);
        else if (successes > SuccessHigh)
            // A place that was settled and has become easy: what failed before it is old news.
            (low, high) = (wasSettled ? 0 : low, tried);
        else
            (low, high) = (tried - 1, tried);
        return new((double)low / chunks, (double)high / chunks);
    }

    /// <summary>For <see cref="CutRule.Bisect"/>: whether nothing is left to search, as neighbouring places are known to be too hard and not too hard.</summary>
    /// <param name="interval">What is known of a prompt.</param>
    public bool IsSettled(CutInterval interval) => Part(interval.High) - Part(interval.Low) <= 1;

    /// <summary>Whether a trial's share of successes is what <see cref="CutRule.Bisect"/> looks for.</summary>
    /// <param name="successes">The share of its rows that succeeded.</param>
    public bool IsInBand(double successes) => successes >= SuccessLow && successes <= SuccessHigh;

    private int Between(CutInterval interval) => IsSettled(interval) ? Part(interval.High) : (Part(interval.Low) + Part(interval.High)) / 2;

    private int Part(double share) => (int)Math.Round(share * Chunks!.Value);

    /// <summary>A number at an iteration of the schedule: the first value at iteration 0, the final one from the schedule's last iteration on.</summary>
    private double At(int iteration, double first, double? final)
    {
        if (final is not { } last || Schedule is null or CutSchedule.Constant) return first;
        var done = Math.Min(1, (double)iteration / Iterations!.Value);
        var way = Schedule switch
        {
            CutSchedule.Cosine => (1 - Math.Cos(Math.PI * done)) / 2,
            CutSchedule.Stages => Math.Min((int)((long)iteration * Stages!.Value / Iterations.Value), Stages.Value - 1) / (Stages.Value - 1.0),
            _ => done,
        };
        return first + way * (last - first);
    }
}
