using Rlgf.Base;
using Rlgf.Losses;

namespace Rlgf.Training;

/// <summary>The update of one iteration: several epochs of clipped PPO on minibatches (arXiv 1707.06347).</summary>
public sealed record UpdateSettings
{
    /// <summary>How often each row is used.</summary>
    [Limits(AtLeast = 1)]
    public int Epochs { get; init; } = 4;

    /// <summary>The most rows of one optimiser step. An iteration's rows are shared out evenly: steps differ by one row at most.</summary>
    [Limits(AtLeast = 1)]
    public int RowsPerMinibatch { get; init; } = 32;

    /// <summary>Rows that are in memory at once; a minibatch is split into such parts and their gradients are added up. 0: the whole minibatch.</summary>
    [Limits(AtLeast = 0)]
    [MayChangeOnResume]
    public int RowsPerMicroBatch { get; init; }

    /// <summary>Learning rate of the policy.</summary>
    [Limits(Above = 0)]
    public double LearningRate { get; init; } = 1e-5;

    /// <summary>Learning rate of the critics' own parameters.</summary>
    [Limits(Above = 0)]
    public double CriticLearningRate { get; init; } = 1e-4;

    /// <summary>How the learning rates fall, to 0 after the last iteration, once the warm-up is over.</summary>
    public LearningRateDecay Schedule { get; init; }

    /// <summary>Iterations over which the learning rates rise from 0.</summary>
    [Limits(AtLeast = 0)]
    public int WarmUpIterations { get; init; }

    /// <summary>Clip range of the policy's ratio.</summary>
    [Limits(Above = 0)]
    public double ClipRange { get; init; } = 0.2;

    /// <summary>Clip range of the values, in units of the reward; null leaves them unclipped.</summary>
    [Limits(Above = 0)]
    public double? ValueClipRange { get; init; }

    /// <summary>Weight of the value loss.</summary>
    [Limits(AtLeast = 0, AtMost = 1e6)]
    public double ValueCoefficient { get; init; } = 0.5;

    /// <summary>Gradients of the policy, and those of the critics' own parameters, are scaled down to this norm.</summary>
    [Limits(Above = 0)]
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>Decoupled weight decay, on matrices.</summary>
    [Limits(AtLeast = 0, AtMost = 1e3)]
    public double WeightDecay { get; init; }

    /// <summary>ε of AdamW. Much smaller ones are 0 in float32, and a gradient of 0 would then be divided by 0.</summary>
    [Limits(AtLeast = 1e-20)]
    public double AdamEpsilon { get; init; } = 1e-5;

    /// <summary>From a loss per token to one number.</summary>
    public LossReduction Reduction { get; init; }

    /// <summary>Whether the advantages of the tokens that train the policy are brought to mean 0 and variance 1 over the iteration.</summary>
    public bool WhitenAdvantages { get; init; }

    /// <summary>Factor on both learning rates at an iteration.</summary>
    /// <param name="iteration">From 0.</param>
    /// <param name="iterations">Of the whole run.</param>
    public double LearningRateFactor(int iteration, int iterations) => Training.LearningRate.At(1, iteration, iterations, WarmUpIterations, Schedule, finalShare: 0);
}
