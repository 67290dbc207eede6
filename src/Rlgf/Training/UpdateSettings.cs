using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Losses;

namespace Rlgf.Training;

/// <summary>The update of one iteration: several epochs of clipped PPO on minibatches (arXiv 1707.06347). What is null is the algorithm's own.</summary>
public sealed record UpdateSettings : StepMemorySettings
{
    /// <summary>How often each row is used.</summary>
    [Limits(AtLeast = 1)]
    public int Epochs { get; init; } = 4;

    /// <summary>The most rows of one optimiser step. An iteration's rows are shared out evenly: steps differ by one row at most.</summary>
    [Limits(AtLeast = 1)]
    public int RowsPerMinibatch { get; init; } = 32;

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

    /// <summary>What the policy's ratio is taken of; null: the algorithm's own (<c>token</c>; <c>sequence</c> for <c>gspo</c>).</summary>
    public RatioLevel? Ratio { get; init; }

    /// <summary>How ratio and advantage make the policy's loss; null: the algorithm's own (<c>clipped</c>).</summary>
    public PolicySurrogate? Surrogate { get; init; }

    /// <summary>Clip range of the policy's ratio; null: the algorithm's own (0.2; 3e-4 for <c>gspo</c>).</summary>
    [Limits(Above = 0)]
    public double? ClipRange { get; init; }

    /// <summary>Clip range above 1, where it is another than below; null: the algorithm's own (that below; 0.28 for <c>dapo</c>, 4e-4 for <c>gspo</c>).</summary>
    [Limits(Above = 0)]
    public double? ClipRangeHigh { get; init; }

    /// <summary>The most that the ratio counts where the advantage is negative, above 1 + the clip range; 3 is usual. Null: the algorithm's own (no bound).</summary>
    [Limits(Above = 1)]
    public double? DualClip { get; init; }

    /// <summary>Clip range of the values, in units of the reward; null leaves them unclipped.</summary>
    [Limits(Above = 0)]
    public double? ValueClipRange { get; init; }

    /// <summary>Weight of the value loss.</summary>
    [Limits(AtLeast = 0, AtMost = 1e6)]
    public double ValueCoefficient { get; init; } = 0.5;

    /// <summary>Gradients of the policy, and those of the critics' own parameters, are scaled down to this norm.</summary>
    [Limits(Above = 0)]
    public double MaxGradientNorm { get; init; } = 1;

    /// <summary>
    /// Ends an iteration's update before the first step that finds the policy further than 1.5 times this from what wrote its rows (<c>policy/kl_to_old</c>, nats a token): what is left of the epochs is left out. The first step is always taken. Of use with
    /// many steps an iteration, one of which may lose what all before have learned; 0.01 to 0.05 is usual. Null: never.
    /// </summary>
    [Limits(Above = 0)]
    public double? TargetKl { get; init; }

    /// <summary>Decoupled weight decay, on matrices.</summary>
    [Limits(AtLeast = 0, AtMost = 1e3)]
    public double WeightDecay { get; init; }

    /// <summary>ε of AdamW. Much smaller ones are 0 in float32, and a gradient of 0 would then be divided by 0.</summary>
    [Limits(AtLeast = 1e-20)]
    public double AdamEpsilon { get; init; } = 1e-5;

    /// <summary>
    /// Whether, of several processes that train as one (<c>mpirun</c>), each keeps AdamW's state of a share of the weights alone and makes their steps for all: of W processes each has 1/W of two float32 numbers a trained weight, and half as much again travels.
    /// Numbers and checkpoints are the same, so that it may be changed when a run goes on. In a process alone there is nothing to share.
    /// </summary>
    [MayChangeOnResume]
    public bool ShardOptimizer { get; init; }

    /// <summary>From a loss per token to one number; null: the algorithm's own (<c>token_mean</c>; <c>max_length</c> for <c>dr_grpo</c>, <c>row_mean</c> for <c>gspo</c>).</summary>
    public LossReduction? Reduction { get; init; }

    /// <summary>
    /// Whether the advantages of the tokens that train the policy are brought to mean 0 and variance 1 over the iteration; null: the algorithm's own (only <c>reinforce_plus_plus</c> does).
    /// </summary>
    public bool? WhitenAdvantages { get; init; }

    /// <summary>The loss on what the policy chose, once all is filled in.</summary>
    internal PolicyLossSettings PolicyLoss
    {
        get
        {
            var own = new PolicyLossSettings();
            return new()
            {
                Ratio = Ratio ?? own.Ratio,
                Surrogate = Surrogate ?? own.Surrogate,
                ClipRange = ClipRange ?? own.ClipRange,
                ClipRangeHigh = ClipRangeHigh,
                DualClip = DualClip,
                Reduction = Reduction ?? own.Reduction,
            };
        }
    }

    /// <summary>The settings with what the recipe leaves to the algorithm filled in.</summary>
    /// <param name="algorithm">The algorithm.</param>
    public UpdateSettings For(AlgorithmSettings algorithm)
    {
        var own = algorithm.PolicyLoss;
        var surrogate = Surrogate ?? own.Surrogate;
        var isClipped = surrogate == PolicySurrogate.Clipped;
        return this with
        {
            Ratio = Ratio ?? own.Ratio,
            Surrogate = surrogate,
            // A weight is bounded from above only.
            ClipRange = isClipped ? ClipRange ?? own.ClipRange : ClipRange,
            ClipRangeHigh = ClipRangeHigh ?? (isClipped ? own.ClipRangeHigh : own.High),
            DualClip = DualClip ?? (isClipped ? own.DualClip : null),
            Reduction = Reduction ?? own.Reduction,
            WhitenAdvantages = WhitenAdvantages ?? algorithm.WhitensAdvantages,
        };
    }

    /// <summary>What contradicts itself, once all is filled in, by key.</summary>
    internal IEnumerable<(string Key, string Problem)> ProblemsWith(AlgorithmSettings algorithm)
    {
        var loss = For(algorithm).PolicyLoss;
        if (loss.Surrogate == PolicySurrogate.Cispo && ClipRange is not null) yield return ("clip_range", "cispo bounds the ratio from above only; set clip_range_high, or leave it out");
        if (loss.Surrogate == PolicySurrogate.Cispo && DualClip is not null) yield return ("dual_clip", "cispo bounds every ratio by 1 + clip_range_high already; leave it out");
        if (!loss.IsDualClipBeyondTheRange) yield return ("dual_clip", FormattableString.Invariant($"it must be above {1 + loss.High}, where the clip range ends; 3 is usual"));
        if (loss.Surrogate == PolicySurrogate.Clipped && loss.ClipRangeHigh < loss.ClipRange)
        {
            string Of(string key, double? said, double? value) => FormattableString.Invariant($"{key}{(said is null ? $", which '{algorithm.Name}' has as" : "")} {value}");
            yield return ClipRangeHigh is null
                ? ("clip_range", FormattableString.Invariant($"{ClipRange} is above {Of("clip_range_high", null, loss.ClipRangeHigh)}: the range is the wider one above 1; set that too, or lower this"))
                : ("clip_range_high", FormattableString.Invariant($"{ClipRangeHigh} is below {Of("clip_range", ClipRange, loss.ClipRange)}: the range is the wider one above 1; raise this, or lower that"));
        }
        foreach (var unused in UnusedWithoutCritic(algorithm)) yield return unused;
    }

    /// <summary>What is set of critics' updates where there is no critic, by key.</summary>
    internal IEnumerable<(string Key, string Problem)> UnusedWithoutCritic(AlgorithmSettings algorithm)
    {
        if (algorithm.HasCritic) yield break;
        // The value that it has anyway is no claim; runs from before this was refused keep it in their recipes.
        var own = new UpdateSettings();
        string Unused(string what) => $"'{algorithm.Name}' has no critic, so that {what} would change nothing; leave it out";
        if (CriticLearningRate != own.CriticLearningRate) yield return ("critic_learning_rate", Unused("its learning rate"));
        if (ValueCoefficient != own.ValueCoefficient) yield return ("value_coefficient", Unused("the weight of its loss"));
        if (ValueClipRange is not null) yield return ("value_clip_range", Unused("the range of its values"));
    }

    /// <summary>Factor on both learning rates at an iteration.</summary>
    /// <param name="iteration">From 0.</param>
    /// <param name="iterations">Of the whole run.</param>
    public double LearningRateFactor(int iteration, int iterations) => Training.LearningRate.At(1, iteration, iterations, WarmUpIterations, Schedule, finalShare: 0);
}
