using Rlgf.Base;

namespace Rlgf.Worth;

/// <summary>
/// How the guide's worth is measured: on some prompts of an iteration, policy and guide finish the same beginning, and their rewards are compared pair by pair. The beginning is one of the policy's, or with the
/// probability ½, and for a guide that can't go on from a text always, empty. What is written for that trains nothing, and counts as tokens of both.
/// </summary>
public sealed record GuideWorthSettings
{
    /// <summary>The share of an iteration's prompts that are measured; one at least.</summary>
    [Limits(Above = 0, AtMost = 1)]
    public double Share { get; init; } = 0.125;

    /// <summary>It is measured in every so-manieth iteration.</summary>
    [Limits(AtLeast = 1)]
    public int Every { get; init; } = 1;

    /// <summary>How many measured iterations stand behind a number; what the run warns of is judged over twice as many.</summary>
    [Limits(AtLeast = 2, AtMost = 10_000)]
    public int Window { get; init; } = 8;

    /// <summary>Whether an iteration is measured.</summary>
    /// <param name="iteration">From 0.</param>
    internal bool IsDue(int iteration) => iteration % Every == 0;

    /// <summary>How many of an iteration's prompts are measured.</summary>
    /// <param name="prompts">How many it has.</param>
    internal int Of(int prompts) => Math.Clamp((int)Math.Round(Share * prompts), 1, prompts);
}
