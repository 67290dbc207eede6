using Rlgf.Prompts;

namespace Rlgf.Rollouts;

/// <summary>How much of what an algorithm leaves to the guide it is asked for now: plans multiply their β, and the credit's coefficient, by a factor.</summary>
/// <param name="Factor">g in [0, 1]; 1 leaves plans as they are.</param>
public sealed record Guidance(double Factor)
{
    /// <summary>Plans as they are.</summary>
    public static Guidance Full { get; } = new(1);

    /// <summary>Where the guide's text is cut, for rules that know something of each prompt; null for others.</summary>
    public CutState? Cuts { get; init; }

    /// <summary>Whether the measured gap has told the algorithm to go over to its second phase.</summary>
    public bool HasSwitched { get; init; }

    /// <summary>Identities of prompts that the guide need not be asked about.</summary>
    public IReadOnlySet<string> Exempt { get; init; } = new HashSet<string>();

    /// <summary>The factor of exempt prompts.</summary>
    public double ExemptFactor { get; init; }

    /// <summary>The factor of a prompt.</summary>
    public double Of(Prompt prompt) => Exempt.Contains(prompt.Id) ? Math.Min(Factor, ExemptFactor) : Factor;
}
