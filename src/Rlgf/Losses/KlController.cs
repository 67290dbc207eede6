using Rlgf.Base;

namespace Rlgf.Losses;

/// <summary>What a checkpoint keeps of a <see cref="KlController"/>.</summary>
/// <param name="Coefficient">The coefficient of the KL penalty now.</param>
public readonly record struct KlControllerState(double Coefficient);

/// <summary>
/// The coefficient of the KL penalty: fixed, or adapted towards a target divergence. Immutable; <see cref="Update"/> gives the next one.
/// </summary>
/// <remarks>
/// Ziegler et al. 2019, "Fine-Tuning Language Models from Human Preferences" (arXiv 1909.08593), section 2.2:
/// error = clip(kl / target − 1, −0.2, 0.2); coefficient ← coefficient · (1 + K_β · error). K_β is steps / horizon, as in their code (0.1 in the paper: batches
/// of about 1000 over a horizon of 10,000). Their controller is proportional on the logarithm of the coefficient, for which 1 + K_β · error stands while it is near 1;
/// where batches are several times the horizon it would go through 0 to the other sign. So the product is clipped as the error is, to ±0.5: one update at most halves
/// the coefficient.
/// </remarks>
public sealed record KlController
{
    private const double LargestError = 0.2, LargestChange = 0.5;

    /// <summary>From 0 no factor would bring the coefficient back; both ends are numbers that float32, which penalties are computed in, can hold.</summary>
    private const double Smallest = 1e-30, Largest = 1e30;

    private KlController(double coefficient, double? target, double horizon)
    {
        Coefficient = coefficient;
        Target = target;
        Horizon = horizon;
    }

    /// <summary>The coefficient now.</summary>
    public double Coefficient { get; private init; }

    /// <summary>The divergence aimed at, nats, in the unit that <see cref="Update"/> is given (per response in the paper); null if the coefficient is fixed.</summary>
    public double? Target { get; }

    /// <summary>Number of responses over which a constant error of e multiplies the coefficient by about exp(e); unused if the coefficient is fixed.</summary>
    public double Horizon { get; }

    /// <summary>What a checkpoint keeps; give it to <see cref="Restore"/>.</summary>
    public KlControllerState State => new(Coefficient);

    /// <summary>A coefficient that stays as it is.</summary>
    /// <exception cref="InputException">The coefficient is negative or not finite.</exception>
    public static KlController Fixed(double coefficient) => new(Checked(coefficient), null, double.PositiveInfinity);

    /// <summary>A coefficient that grows while the divergence is above the target and shrinks while it is below.</summary>
    /// <param name="initial">The first coefficient, above 0 (0 would stay 0).</param>
    /// <param name="target">The divergence aimed at, nats, above 0.</param>
    /// <param name="horizon">Responses, above 0; 10,000 in the paper.</param>
    /// <exception cref="InputException">A number out of its range.</exception>
    public static KlController Adaptive(double initial, double target, double horizon)
    {
        if (!(Checked(initial) > 0)) throw new InputException("the adaptive KL coefficient starts at 0 and would stay there: give a start above 0, or use a fixed coefficient.");
        if (!(target > 0 && double.IsFinite(target))) throw new InputException($"the KL target is {target}: it must be above 0.");
        if (!(horizon > 0 && double.IsFinite(horizon))) throw new InputException($"the KL controller's horizon is {horizon}: it must be above 0, 10000 is usual.");
        return new(initial, target, horizon);
    }

    /// <summary>The controller after another batch.</summary>
    /// <param name="kl">The measured divergence, nats; null where nothing could be measured (no token of the policy): the coefficient stays.</param>
    /// <param name="steps">Number of responses that it was measured on.</param>
    public KlController Update(double? kl, int steps)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(steps);
        if (kl is not { } measured || Target is not { } target) return this;
        if (double.IsNaN(measured)) throw new ArgumentException("The measured KL is not a number.", nameof(kl));
        var error = Math.Clamp(measured / target - 1, -LargestError, LargestError);
        var change = Math.Clamp(error * steps / Horizon, -LargestChange, LargestChange);
        return this with { Coefficient = Math.Clamp(Coefficient * (1 + change), Smallest, Largest) };
    }

    /// <summary>This controller with a coefficient so many times as high, a fixed one too.</summary>
    /// <param name="factor">Above 0.</param>
    public KlController Raised(double factor) => this with { Coefficient = Math.Clamp(Coefficient * factor, 0, Largest) };

    /// <summary>This controller with the coefficient of a checkpoint; a fixed coefficient stays as it was given.</summary>
    public KlController Restore(KlControllerState state) => Target is null ? this : this with { Coefficient = Checked(state.Coefficient) };

    private static double Checked(double coefficient) => coefficient >= 0 && double.IsFinite(coefficient)
        ? coefficient
        : throw new InputException($"the KL coefficient is {coefficient}: it must be 0 or above.");
}
