using Rlgf.Base;

namespace Rlgf.Training;

/// <summary>Whose texts a supervised loss beside reinforcement learning teaches.</summary>
public enum SupervisedSource
{
    /// <summary>The references of the training prompts, or another column of their data: a batch of experts' answers of its own, whatever prompts the iteration has.</summary>
    References,

    /// <summary>The guide's whole answers of the iteration, also where a row keeps only their beginning: they were paid for anyway.</summary>
    Guide,
}

/// <summary>What the loss of a token is multiplied by; p is its probability, a constant.</summary>
public enum SupervisedTokenWeight
{
    /// <summary>1: the plain next-token loss.</summary>
    One,

    /// <summary>p: unlikely tokens are left as they are. DFT (Wu et al. 2025, arXiv 2508.05629).</summary>
    Probability,

    /// <summary>p (1 − p): neither what the policy would never say nor what it says anyway. CHORD's φ (Zhang et al. 2025, arXiv 2508.11408).</summary>
    Phi,
}

/// <summary>A next-token loss on answers that somebody else wrote, beside reinforcement learning: each optimiser step adds coefficient · Σ w · (−log π) / Σ tokens over some rows of its own.</summary>
public sealed record SupervisedLossSettings : ICheckedSection
{
    /// <summary>Whose texts.</summary>
    public SupervisedSource Source { get; init; }

    /// <summary>For <c>references</c>: the column of the data that holds the texts; null: the references.</summary>
    public string? Column { get; init; }

    /// <summary>Rows of each optimiser step, drawn without replacement; all where there are fewer.</summary>
    [Limits(AtLeast = 1, AtMost = 1 << 20)]
    public int RowsPerStep { get; init; } = 16;

    /// <summary>Weight of the loss, or where it begins.</summary>
    [Limits(AtLeast = 0, AtMost = 1e6)]
    public double Coefficient { get; init; } = 0.1;

    /// <summary>Where the weight ends, with a schedule; null: 0.</summary>
    [Limits(AtLeast = 0, AtMost = 1e6)]
    public double? FinalCoefficient { get; init; }

    /// <summary>How the weight goes from its first to its last value.</summary>
    public LearningRateDecay Schedule { get; init; }

    /// <summary>With a schedule: iterations until the last value, which stays; null: those of the run.</summary>
    [Limits(AtLeast = 1)]
    public int? Iterations { get; init; }

    /// <summary>What the loss of a token is multiplied by.</summary>
    public SupervisedTokenWeight TokenWeight { get; init; }

    /// <summary>Whether the other losses count 1 − coefficient, so that 1 is supervised training alone (CHORD's μ); otherwise they count in full.</summary>
    public bool Blend { get; init; }

    /// <summary>The weight at an iteration t: from the first value a to the last b over T iterations; b + (a − b) · (1 − t/T), or b + (a − b) · (1 + cos πt/T) / 2.</summary>
    /// <param name="iteration">t, from 0.</param>
    /// <param name="iterations">Of the whole run.</param>
    public double CoefficientAt(int iteration, int iterations)
    {
        if (Schedule == LearningRateDecay.Constant) return Coefficient;
        var last = FinalCoefficient ?? 0;
        return last + (Coefficient - last) * LearningRate.Left(Schedule, Math.Min(1, (double)iteration / (Iterations ?? iterations)));
    }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Source == SupervisedSource.Guide && Column is not null) yield return ("column", "it is of the data, and source is guide; leave it out");
        if (Schedule == LearningRateDecay.Constant && FinalCoefficient is not null) yield return ("final_coefficient", "a constant schedule has no other end; set schedule: linear or cosine, or leave it out");
        if (Schedule == LearningRateDecay.Constant && Iterations is not null) yield return ("iterations", "a constant schedule has no end; set schedule: linear or cosine, or leave it out");
        if (Blend && Coefficient > 1) yield return ("coefficient", FormattableString.Invariant($"with blend the other losses count 1 − coefficient, which would be below 0; it must be at most 1, it is {Coefficient}"));
        if (Blend && FinalCoefficient > 1) yield return ("final_coefficient", FormattableString.Invariant($"with blend the other losses count 1 − coefficient, which would be below 0; it must be at most 1, it is {FinalCoefficient}"));
    }
}
