using Rlgf.Base;

namespace Rlgf.Training;

/// <summary>What happens where a tripwire is touched.</summary>
public enum TripwireAction
{
    /// <summary>It is said, and the run goes on.</summary>
    Warn,

    /// <summary>The run stops; what it has done is saved.</summary>
    Stop,

    /// <summary>The run goes back to the last checkpoint whose evaluation touched none, and on from there with a higher KL coefficient.</summary>
    GoBack,
}

/// <summary>
/// Signs that a policy climbs the reward where the reward is wrong, looked for at every evaluation on held-out prompts. For runs that nobody watches; they change what a run does, and are off in published comparisons.
/// </summary>
/// <remarks>What is looked for: Gao et al. 2023, "Scaling laws for reward model overoptimization" (arXiv 2210.10760): the learned reward goes on rising while what it stands for falls, as the KL from the start grows.</remarks>
public sealed record TripwireSettings : ICheckedSection
{
    /// <summary>What happens.</summary>
    public TripwireAction Action { get; init; } = TripwireAction.Warn;

    /// <summary>The mean of the held-out judge has fallen so far below its best evaluation, in its own unit, while the mean reward is higher than it was then; null: not looked for.</summary>
    [Limits(Above = 0)]
    public double? JudgeFall { get; init; }

    /// <summary>The KL of the sampled distribution from the start is above this, nats a response; null: not looked for.</summary>
    [Limits(Above = 0)]
    public double? MostKl { get; init; }

    /// <summary>Responses are longer than so many times the start's mean length; null: not looked for.</summary>
    [Limits(Above = 1)]
    public double? MostLength { get; init; }

    /// <summary>Texts repeat: the share of different pairs of words in all answers together is below this share of the start's; null: not looked for.</summary>
    [Limits(Above = 0, AtMost = 1)]
    public double? LeastDistinct { get; init; }

    /// <summary>Of <c>go_back</c>: what the KL coefficient is multiplied by, each time.</summary>
    [Limits(Above = 1, AtMost = 1e3)]
    public double KlFactor { get; init; } = 2;

    /// <summary>Of <c>go_back</c>: how often at most; the next time the run stops.</summary>
    [Limits(AtLeast = 1)]
    public int MostGoBacks { get; init; } = 3;

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (JudgeFall is null && MostKl is null && MostLength is null && LeastDistinct is null)
            yield return ("action", "there is no tripwire: set judge_fall, most_kl, most_length or least_distinct, or leave tripwires out");
        if (Action == TripwireAction.GoBack) yield break;
        if (KlFactor != new TripwireSettings().KlFactor) yield return ("kl_factor", "is for action: go_back; leave it out");
        if (MostGoBacks != new TripwireSettings().MostGoBacks) yield return ("most_go_backs", "is for action: go_back; leave it out");
    }
}
