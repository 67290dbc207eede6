using Rlgf.Base;
using Rlgf.Models.Generation;
using Rlgf.Models.NumberTypes;
using Rlgf.Training;

namespace Rlgf.Recipes;

/// <summary>The value functions.</summary>
public sealed record CriticSection
{
    /// <summary>What they are made of.</summary>
    public CriticSharing Sharing { get; init; }

    /// <summary>Whether a response that was cut at the limit is worth its critic's value there, rather than nothing.</summary>
    public bool BootstrapCutRows { get; init; }
}

/// <summary>Evaluation on held-out prompts (<c>data.evaluation_path</c>) during a run, also before the first iteration and after the last.</summary>
public sealed record EvaluationSection
{
    /// <summary>Iterations from one evaluation to the next.</summary>
    [MayChangeOnResume]
    [Limits(AtLeast = 1)]
    public int Every { get; init; } = 10;

    /// <summary>The most prompts, spread evenly over the file, which may be sorted.</summary>
    [Limits(AtLeast = 1)]
    public int Prompts { get; init; } = 200;

    /// <summary>How responses are drawn; null: as in training.</summary>
    public SamplingSettings? Decoding { get; init; }

    /// <summary>Whether the guide answers the held-out prompts at the start of the run, to be compared with; null: where it is on this machine, as answers of one elsewhere may cost money.</summary>
    public bool? Guide { get; init; }
}

/// <summary>Types of the numbers that frozen models and rollouts compute with. The policy that is trained and the critics are float32 always.</summary>
public sealed record PrecisionSection : ICheckedSection
{
    /// <summary>The reference of the KL penalty. The policy that it is compared with computes in the same type, so bfloat16 goes with rollouts in it and with <c>kl.placement: reward</c>.</summary>
    public Precision Reference { get; init; }

    /// <summary>The guide, where it is a model on this machine.</summary>
    public Precision Guide { get; init; }

    /// <summary>Classifiers of the reward and of the judge.</summary>
    public Precision Rewards { get; init; }

    /// <summary>The policy's own writing, by a copy of it. The log-probabilities that the update compares with are then the copy's: those of what was sampled.</summary>
    public Precision Rollouts { get; init; }

    /// <summary>Whether something is left to the processor's features.</summary>
    public bool HasAuto => new[] { Reference, Guide, Rewards, Rollouts }.Contains(Precision.Auto);

    /// <summary>The section with every <c>auto</c> replaced by what this processor is made for.</summary>
    /// <param name="kl">Where the KL goes: as a loss it compares with the policy that is trained, which is float32.</param>
    public PrecisionSection Resolved(KlPlacement kl)
    {
        var rollouts = Rollouts.Resolved();
        var canRound = rollouts == Precision.Bfloat16 && kl == KlPlacement.Reward;
        return new() { Reference = Reference == Precision.Auto && !canRound ? Precision.Float32 : Reference.Resolved(), Guide = Guide.Resolved(), Rewards = Rewards.Resolved(), Rollouts = rollouts };
    }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Reference == Precision.Bfloat16 && Rollouts != Precision.Bfloat16)
            yield return ("reference", "bfloat16 would be compared with a policy in another type, so that the start had a KL to itself; set rollouts: bfloat16 too, or leave the reference float32");
    }
}

/// <summary>What is kept for going on after a stop.</summary>
public sealed record CheckpointsSection
{
    /// <summary>Iterations from one checkpoint to the next.</summary>
    [MayChangeOnResume]
    [Limits(AtLeast = 1)]
    public int Every { get; init; } = 10;

    /// <summary>How many of the newest are kept.</summary>
    [MayChangeOnResume]
    [Limits(AtLeast = 1)]
    public int Keep { get; init; } = 2;
}
