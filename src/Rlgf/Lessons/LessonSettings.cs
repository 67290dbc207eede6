namespace Rlgf.Lessons;

/// <summary>What the policy is expected to get on a prompt: a lesson is what was better than that.</summary>
public enum LessonBaseline
{
    /// <summary>The mean reward of the policy's own last whole responses, on whatever prompts.</summary>
    RunningMean,

    /// <summary>The mean reward of the policy's whole responses when the prompt was last drawn; <see cref="RunningMean"/> where there were none.</summary>
    Prompt,

    /// <summary>The critic's value of the prompt: for algorithms that have one.</summary>
    Critic,
}

/// <summary>How lessons are remembered, drawn and learned, and when the guide is asked: adaptive guidance, second version. docs/algorithms.md has the rules and where the numbers come from.</summary>
public sealed record LessonSettings
{
    /// <summary>The most rows that are remembered; beyond that the oldest go.</summary>
    public int Capacity { get; init; } = 4096;

    /// <summary>K: rows drawn from the memory in each optimiser step, with replacement.</summary>
    public int RowsPerStep { get; init; } = 64;

    /// <summary>c: weight of the loss on them.</summary>
    public double Coefficient { get; init; } = 2;

    /// <summary>V(x): what a lesson is measured from.</summary>
    public LessonBaseline Baseline { get; init; }

    /// <summary>W: how many of the last rows the means are taken over: of the guide's lessons, of the policy's, and of rewards.</summary>
    public int Window { get; init; } = 512;

    /// <summary>Whether the guide is asked as often as its lessons are worth it; otherwise as often as the plan says (g = 1).</summary>
    public bool ScalesGuide { get; init; } = true;

    /// <summary>What a token that the guide writes costs, in tokens that the policy writes: what each teaches is then compared per unit of cost. Null compares answers, whatever they cost.</summary>
    public double? GuideTokenPrice { get; init; }

    /// <summary>The largest weight of a remembered row: one lucky row must not outweigh the others.</summary>
    public const double LargestWeight = 3;

    /// <summary>The smallest factor of β. Not 0: a guide that is never asked can't be measured.</summary>
    public const double SmallestFactor = 0.05;

    /// <summary>A lesson below this share of the rewards' spread is none: a critic's level of a thousandth of a reward would fill the memory with nothing.</summary>
    public const double SmallestLesson = 0.01;
}
