namespace Rlgf.Losses;

/// <summary>What is compared with what was sampled: the importance ratio of a token's own choice, or one ratio for the whole response. What counts are the tokens that the policy loss falls on.</summary>
public enum RatioLevel
{
    /// <summary>ρ_t = π(a_t|s_t) / π_old(a_t|s_t).</summary>
    Token,

    /// <summary>The geometric mean over the response, exp(mean_t log ρ_t), for each of its tokens: GSPO (Zheng et al. 2025, arXiv 2507.18071, equation 7).</summary>
    Sequence,

    /// <summary>The whole response's π/π_old, the product of its tokens' ratios, for each of them: the response as one action (Ahmadian et al. 2024, arXiv 2402.14740).</summary>
    SequenceProduct,
}

/// <summary>How ratio and advantage make the loss of a token.</summary>
public enum PolicySurrogate
{
    /// <summary>max(−Â ρ, −Â clip(ρ)): PPO (arXiv 1707.06347, equation 7).</summary>
    Clipped,

    /// <summary>−sg(min(ρ, 1 + bound)) Â log π: CISPO (MiniMax 2025, arXiv 2506.13585, equation 4). The ratio is bounded from above and a weight only, so that every token keeps a gradient.</summary>
    Cispo,
}

/// <summary>The loss on what the policy chose, as data on independent axes.</summary>
public sealed record PolicyLossSettings
{
    /// <summary>What the ratio is taken of.</summary>
    public RatioLevel Ratio { get; init; }

    /// <summary>From ratio and advantage to a loss.</summary>
    public PolicySurrogate Surrogate { get; init; }

    /// <summary>c: the ratio is clipped to 1 − c … 1 + c, or less below and <see cref="ClipRangeHigh"/> above.</summary>
    public double ClipRange { get; init; } = 0.2;

    /// <summary>The range above 1 where it is another: "clip-higher" (Yu et al. 2025, DAPO, arXiv 2503.14476, section 3.1); null for c.</summary>
    public double? ClipRangeHigh { get; init; }

    /// <summary>
    /// Where Â is negative the ratio counts this much at most, so that a token that has become likely since it was sampled can't rule the step; beyond 1 + the range above. Null for no bound. Dual clip (Ye et al. 2020,
    /// arXiv 1912.09729, section 4.2; 3 there).
    /// </summary>
    public double? DualClip { get; init; }

    /// <summary>From tokens to one number.</summary>
    public LossReduction Reduction { get; init; }

    /// <summary>The range above 1 that counts.</summary>
    public double High => ClipRangeHigh ?? ClipRange;

    /// <summary>Whether the bound on ratios of negative advantages lies where something is left to be bounded.</summary>
    public bool IsDualClipBeyondTheRange => DualClip is not { } bound || bound > 1 + High;
}
