namespace Rlgf.Training;

/// <summary>How the learning rate falls after the warm-up.</summary>
public enum LearningRateDecay
{
    /// <summary>Not at all.</summary>
    Constant,

    /// <summary>In a straight line.</summary>
    Linear,

    /// <summary>Along half a cosine.</summary>
    Cosine,
}

/// <summary>The one schedule of learning rates, of iterations and of supervised steps.</summary>
public static class LearningRate
{
    /// <summary>
    /// The learning rate of a step: over W steps of warm-up it rises in a straight line, peak · (t + 1) / W; then it falls over the rest, u = (t − W) / (N − W), from the peak to its final share of it.
    /// </summary>
    /// <param name="peak">The highest; 1 gives the factor on any other.</param>
    /// <param name="step">t, from 0.</param>
    /// <param name="steps">N, of the whole training.</param>
    /// <param name="warmUp">W.</param>
    /// <param name="decay">How it falls.</param>
    /// <param name="finalShare">What is left at step N, as a share of the peak.</param>
    public static double At(double peak, int step, int steps, int warmUp, LearningRateDecay decay, double finalShare)
    {
        if (step < warmUp) return peak * (step + 1) / warmUp;
        var share = steps > warmUp ? (double)(step - warmUp) / (steps - warmUp) : 1;
        return peak * (finalShare + (1 - finalShare) * Left(decay, share));
    }

    /// <summary>What is left of the way from the last value to the first after a share u of the steps: 1 at u = 0, 0 at u = 1.</summary>
    internal static double Left(LearningRateDecay decay, double share) => decay switch
    {
        LearningRateDecay.Linear => 1 - share,
        LearningRateDecay.Cosine => (1 + Math.Cos(Math.PI * share)) / 2,
        _ => 1,
    };
}
