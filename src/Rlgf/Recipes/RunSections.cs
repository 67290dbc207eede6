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

    /// <summary>
    /// A column of the held-out rows, such as <c>difficulty</c>, by which results are also given: the mean reward of the prompts of each of its values, at most 20; null for none. <c>rlgf evaluate --samples</c> makes that column.
    /// </summary>
    public string? By { get; init; }

    /// <summary>Whether the guide answers the held-out prompts at the start of the run, to be compared with; null: where it is on this machine, as answers of one elsewhere may cost money.</summary>
    public bool? Guide { get; init; }
}

/// <summary>Types of the numbers that frozen models and rollouts compute with: the older form of <c>placement</c>, whose parts have a type and a device. Each part's type is said in one of the two; null says nothing.</summary>
public sealed record PrecisionSection
{
    /// <summary>As <c>placement.policy.precision</c>.</summary>
    public PolicyPrecision? Policy { get; init; }

    /// <summary>As <c>placement.reference.precision</c>.</summary>
    public Precision? Reference { get; init; }

    /// <summary>As <c>placement.guide.precision</c>.</summary>
    public Precision? Guide { get; init; }

    /// <summary>As <c>placement.rewards.precision</c>, and of the judge too.</summary>
    public Precision? Rewards { get; init; }

    /// <summary>As <c>placement.rollouts.precision</c>.</summary>
    public Precision? Rollouts { get; init; }
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
