using Rlgf.Base;
using Rlgf.Training;

namespace Rlgf.Supervised;

/// <summary>Supervised training, of language models and of classifiers.</summary>
public sealed record SupervisedSettings : StepMemorySettings, ICheckedSection
{
    /// <summary>How often each example is used; a part of an epoch is allowed. A training that has ended is made longer by more of it, with <see cref="Decay"/> other than constant by a learning rate that falls to the new end.</summary>
    [MayChangeOnResume]
    [Limits(Above = 0)]
    public double Epochs { get; init; } = 1;

    /// <summary>Ends earlier, after this many steps; null for no limit. A training that has ended is made longer by more of them, as by <see cref="Epochs"/>.</summary>
    [MayChangeOnResume]
    [Limits(AtLeast = 1)]
    public int? MaxSteps { get; init; }

    /// <summary>The most examples of one optimiser step. An epoch's examples are shared out evenly: steps differ by one example at most.</summary>
    [Limits(AtLeast = 1)]
    public int RowsPerStep { get; init; } = 32;

    /// <summary>What language models and classifiers learn with where nothing else is said.</summary>
    internal const double UsualLearningRate = 1e-3;

    /// <summary>The highest learning rate, reached after the warm-up. Null: 1e-3 for language models and classifiers; 1e-6 for preference optimisation and 1e-5 for reward models, with an adapter ten times as much.</summary>
    [Limits(Above = 0)]
    public double? LearningRate { get; init; }

    /// <summary>Steps over which the learning rate rises from 0 in a straight line.</summary>
    [Limits(AtLeast = 0)]
    public int WarmUpSteps { get; init; } = 100;

    /// <summary>How it falls afterwards.</summary>
    public LearningRateDecay Decay { get; init; } = LearningRateDecay.Cosine;

    /// <summary>What is left of the learning rate at the end, as a share of the highest.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double FinalLearningRateShare { get; init; } = 0.1;

    /// <summary>Decoupled weight decay, on matrices.</summary>
    [Limits(AtLeast = 0, AtMost = 1e3)]
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>β₂ of AdamW.</summary>
    [Limits(Above = 0, AtMost = 0.999999)]
    public double Beta2 { get; init; } = 0.99;

    /// <summary>Gradients are scaled down to this norm.</summary>
    [Limits(Above = 0)]
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>Steps between two evaluations on the held-out examples; the last step is always followed by one.</summary>
    [Limits(AtLeast = 1)]
    [MayChangeOnResume]
    public int EvaluateEvery { get; init; } = 500;

    /// <summary>Steps between two checkpoints to resume from; 0 for none but at a stop and at the end.</summary>
    [Limits(AtLeast = 0)]
    [MayChangeOnResume]
    public int CheckpointEvery { get; init; } = 500;

    /// <summary>How many of the newest checkpoints are kept, after the end too: from the last one a training is made longer.</summary>
    [Limits(AtLeast = 1)]
    [MayChangeOnResume]
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>Decides the order of the examples and all draws.</summary>
    public ulong Seed { get; init; }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Decay == LearningRateDecay.Constant && FinalLearningRateShare != new SupervisedSettings().FinalLearningRateShare)
            yield return ("final_learning_rate_share", "the learning rate does not fall (decay: constant); leave it out");
    }

    /// <summary>The learning rate of a step.</summary>
    /// <param name="step">From 0.</param>
    /// <param name="steps">Of the whole training.</param>
    public double LearningRateAt(int step, int steps) => Training.LearningRate.At(LearningRate ?? UsualLearningRate, step, steps, WarmUpSteps, Decay, FinalLearningRateShare);
}

/// <summary>How a training ended.</summary>
/// <param name="Steps">Steps done.</param>
/// <param name="BestStep">Steps after which the held-out loss was lowest: the model that the folder holds.</param>
/// <param name="BestHeldOut">Its metrics.</param>
/// <param name="LastHeldOut">Metrics after the last step.</param>
public sealed record SupervisedResult(int Steps, int BestStep, IReadOnlyDictionary<string, double> BestHeldOut, IReadOnlyDictionary<string, double> LastHeldOut);
