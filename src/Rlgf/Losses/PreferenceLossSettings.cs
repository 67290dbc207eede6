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

    /// <summary>EXO: the KL of the policy's share of the two answers from the labels, which <c>label_smoothing</c> must smooth, as a label of 0 has no logarithm.</summary>
    ExoPair,

    /// <summary>NCA: the chosen answer becomes likelier in itself, not only than the other.</summary>
    NcaPair,

    /// <summary>BCO: a classifier of good and bad answers, without the running mean of rewards that BCO has on unpaired data.</summary>
    BcoPair,

    /// <summary>SPPO with certain labels: the two rewards are drawn to 1/2 and −1/2, in units of β.</summary>
    SppoHard,

    /// <summary>APO-zero: the chosen answer becomes likelier and the rejected one less likely; for pairs of which the chosen answers are better than the model's.</summary>
    ApoZero,

    /// <summary>APO-down: both become less likely, the rejected one more so; for pairs of which the chosen answers are worse than the model's.</summary>
    ApoDown,

    /// <summary>DiscoPOP: between the logistic and the exponential loss, as a search by programs found it.</summary>
    Discopop,
}

/// <summary>How a policy learns from pairs.</summary>
public sealed record PreferenceLossSettings : ICheckedSection
{
    /// <summary>What is made of a pair.</summary>
    public PreferenceObjective Objective { get; init; }

    /// <summary>β: how dear it is to move away from the reference; the lower, the further. 0.1 is usual; with <see cref="LengthNormalised"/> 1 to 10, as the differences are those of a token.</summary>
    [Limits(Above = 0, AtMost = 1e3)]
    public double Beta { get; init; } = 0.1;

    /// <summary>The share of pairs whose answers may be the wrong way round; of <c>sigmoid</c>, <c>robust</c> and <c>exo_pair</c>.</summary>
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
        if (LabelSmoothing != 0 && Objective is not (PreferenceObjective.Sigmoid or PreferenceObjective.Robust or PreferenceObjective.ExoPair))
            yield return ("label_smoothing", "is for objective: sigmoid, robust or exo_pair; leave it out");
        if (LabelSmoothing == 0 && Objective == PreferenceObjective.ExoPair) yield return ("label_smoothing", "objective: exo_pair needs it above 0, as a label of 0 has no logarithm; 0.001 is usual");
    }
}
