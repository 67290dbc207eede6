using Rlgf.Base;

namespace Rlgf.Losses;

/// <summary>What <see cref="PreferenceLoss"/> makes of a pair.</summary>
public enum PreferenceObjective
{
    /// <summary>DPO: −log σ of the difference of implicit rewards; with label smoothing that of conservative DPO.</summary>
    Sigmoid,

    /// <summary>DPO whose expectation under noisy labels is that under clean ones; the smoothing is the share of labels that are wrong.</summary>
    Robust,

    /// <summary>IPO: the squared distance of the difference from 1 / (2β), which ends rather than grows without a bound.</summary>
    Ipo,

    /// <summary>The hinge of SLiC: nothing is learned from pairs whose rewards are 1 apart.</summary>
    Hinge,
}

/// <summary>How a policy learns from pairs.</summary>
public sealed record PreferenceLossSettings : ICheckedSection
{
    /// <summary>What is made of a pair.</summary>
    public PreferenceObjective Objective { get; init; }

    /// <summary>β: how dear it is to move away from the reference; the lower, the further. 0.1 is usual; with <see cref="LengthNormalised"/> 1 to 10, as the differences are those of a token.</summary>
    [Limits(Above = 0, AtMost = 1e3)]
    public double Beta { get; init; } = 0.1;

    /// <summary>The share of pairs whose answers may be the wrong way round; of <c>sigmoid</c> and <c>robust</c>.</summary>
    [Limits(AtLeast = 0, AtMost = 0.499)]
    public double LabelSmoothing { get; init; }

    /// <summary>
    /// Whether log-probabilities are means over an answer's tokens rather than sums, so that length says nothing; null: true of <c>ipo</c>, as its authors have it in practice and TRL too, false of the others.
    /// </summary>
    public bool? LengthNormalised { get; init; }

    /// <summary>Coefficient of a supervised term, the mean negative log-likelihood of all tokens of the step's chosen answers; it keeps their probability from falling with that of the rejected ones. 0 for none.</summary>
    [Limits(AtLeast = 0, AtMost = 1e3)]
    public double SupervisedCoefficient { get; init; }

    /// <summary>Whether the means of answers are compared.</summary>
    internal bool ComparesMeans => LengthNormalised ?? Objective == PreferenceObjective.Ipo;

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (LabelSmoothing != 0 && Objective is not (PreferenceObjective.Sigmoid or PreferenceObjective.Robust)) yield return ("label_smoothing", "is for objective: sigmoid or robust; leave it out");
    }
}
