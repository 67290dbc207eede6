using Rlgf.Losses;

namespace Rlgf.Training;

/// <summary>Where the KL penalty goes.</summary>
public enum KlPlacement
{
    /// <summary>Subtracted from the reward of each token that the policy wrote.</summary>
    Reward,

    /// <summary>Added to the loss on the same tokens.</summary>
    Loss,
}

/// <summary>The penalty for drifting from the reference π_0; the same for every algorithm.</summary>
public sealed record KlSettings
{
    /// <summary>Coefficient, or where an adaptive one begins. 0 is no penalty.</summary>
    public double Coefficient { get; init; } = 0.05;

    /// <summary>Where it goes.</summary>
    public KlPlacement Placement { get; init; }

    /// <summary>The estimate of the divergence at a token. In the reward K1; as a loss K2 or K3 (the expected gradient of K1 as a loss is 0).</summary>
    public KlEstimator Estimator { get; init; }

    /// <summary>For an adaptive coefficient (Ziegler et al. 2019): the wanted KL, nats a response. Null: fixed.</summary>
    public double? Target { get; init; }

    /// <summary>For an adaptive coefficient: rows over which it reacts.</summary>
    public double Horizon { get; init; } = 10_000;

    /// <summary>The controller at the start of a run.</summary>
    public KlController NewController() => Target is { } target ? KlController.Adaptive(Coefficient, target, Horizon) : KlController.Fixed(Coefficient);
}
