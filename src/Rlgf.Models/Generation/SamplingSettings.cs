namespace Rlgf.Models.Generation;

/// <summary>How the next token is chosen. Processing order as in transformers: repetition penalty, minimum new tokens, then, when sampling, temperature, top-k, top-p.</summary>
public sealed record SamplingSettings
{
    /// <summary>The most tokens written in a row; the row ends there if no end token came.</summary>
    public required int MaxNewTokens { get; init; }

    /// <summary>End tokens are impossible before this many new tokens.</summary>
    public int MinNewTokens { get; init; }

    /// <summary>Take the most likely token instead of sampling; temperature, top-k and top-p are then not used.</summary>
    public bool Greedy { get; init; }

    /// <summary>Logits are divided by it; above 0.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>Only the k most likely tokens (and those tied with the last) can be drawn; 0 is no limit.</summary>
    public int TopK { get; init; }

    /// <summary>Only the most likely tokens that together reach this probability can be drawn; 1 is no limit.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Divides positive and multiplies negative logits of tokens that the row already holds, its prompt included; 1 is none.</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Ids that end a row.</summary>
    public IReadOnlyList<int> EndTokens { get; init; } = [];
}
