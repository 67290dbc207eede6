using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Losses;

namespace Rlgf.Training;

/// <summary>Where the KL penalty goes.</summary>
public enum KlPlacement
{
    /// <summary>
    /// Subtracted from the reward of each token that the policy wrote. Where advantages are relative to a group, what a token and those after it are penalised is
    /// subtracted from the advantage itself, which the group's deviation does not scale.
    /// </summary>
    Reward,

    /// <summary>Added to the loss on the same tokens.</summary>
    Loss,
}

/// <summary>The penalty for drifting from the reference π_0; the same for every algorithm.</summary>
public sealed record KlSettings : ICheckedSection
{
    /// <summary>Coefficient, or where an adaptive one begins. 0 is no penalty. Null: the algorithm's own (0.05; 0 for <c>dr_grpo</c>, <c>dapo</c> and <c>gspo</c>).</summary>
    [Limits(AtLeast = 0, AtMost = 1e6)]
    public double? Coefficient { get; init; }

    /// <summary>Where it goes; null: into the loss with the estimators <c>grpo</c> (as in Shao et al. 2024) and <c>rloo</c>, into the reward otherwise.</summary>
    public KlPlacement? Placement { get; init; }

    /// <summary>
    /// The estimate of the divergence at a token. In the reward K1; as a loss K2 or K3 (the expected gradient of K1 as a loss is 0). Null: K1 in the reward, K3 as a loss.
    /// </summary>
    public KlEstimator? Estimator { get; init; }

    /// <summary>In the loss: from the estimates of tokens to one number. Null: <c>token_mean</c>.</summary>
    public LossReduction? Reduction { get; init; }

    /// <summary>
    /// In the loss: whether the estimate of a token is multiplied by the ratio that the policy loss uses, through which its gradient goes too, so that its expectation is right where rows are older than the policy.
    /// </summary>
    public bool ImportanceWeighted { get; init; }

    /// <summary>For an adaptive coefficient (Ziegler et al. 2019): the wanted KL, nats a response. Null: fixed.</summary>
    [Limits(Above = 0)]
    public double? Target { get; init; }

    /// <summary>For an adaptive coefficient: rows over which it reacts; an iteration changes it by half at most.</summary>
    [Limits(Above = 0)]
    public double Horizon { get; init; } = 10_000;

    /// <summary>The settings with coefficient, placement, estimator and reduction filled in, as they are for an algorithm.</summary>
    /// <param name="algorithm">The algorithm.</param>
    public KlSettings For(AlgorithmSettings algorithm)
    {
        var coefficient = Coefficient ?? algorithm.KlCoefficient;
        var placement = Placement ?? (algorithm.ComparesGroups ? KlPlacement.Loss : KlPlacement.Reward);
        return this with
        {
            Coefficient = coefficient,
            Placement = placement,
            Estimator = Estimator ?? (placement == KlPlacement.Reward ? KlEstimator.K1 : KlEstimator.K3),
            Reduction = Reduction ?? (placement == KlPlacement.Loss && coefficient > 0 ? LossReduction.TokenMean : null),
        };
    }

    /// <summary>The controller at the start of a run.</summary>
    public KlController NewController()
    {
        var coefficient = Coefficient ?? throw new InvalidOperationException("The coefficient is filled in for an algorithm first.");
        return Target is { } target ? KlController.Adaptive(coefficient, target, Horizon) : KlController.Fixed(coefficient);
    }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Coefficient is null or > 0 && Placement == KlPlacement.Loss && Estimator == KlEstimator.K1)
            yield return ("estimator", "k1 as a loss has an expected gradient of 0, so it would hold nothing back; use k2 or k3");
        const string NoPenalty = "there is no penalty: the coefficient is 0; set that, or leave it out";
        if (Coefficient == 0 && Reduction is not null) yield return ("reduction", NoPenalty);
        if (Coefficient == 0 && ImportanceWeighted) yield return ("importance_weighted", NoPenalty);
        if (Placement == KlPlacement.Reward && Reduction is not null) yield return ("reduction", "it is of the KL as a term of the loss, and here it is in the reward; set placement: loss, or leave it out");
        if (Placement == KlPlacement.Reward && ImportanceWeighted)
            yield return ("importance_weighted", "it is of the KL as a term of the loss, and here it is in the reward; set placement: loss, or leave it out");
        if (Target is null && Horizon != new KlSettings().Horizon) yield return ("horizon", "it belongs to an adaptive coefficient, and target is not set; set that, or leave it out");
        if (Target is not null && Coefficient == 0)
            yield return ("coefficient", "an adaptive coefficient that starts at 0 stays there; start above 0, or leave target out");
    }
}
