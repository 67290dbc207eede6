using Rlgf.Text;

namespace Rlgf.Recipes;

/// <summary>What scores a finished response.</summary>
[RecipeKind("classifier", typeof(ClassifierRewardSection))]
[RecipeKind("regex", typeof(RegexRewardSection))]
[RecipeKind("length", typeof(LengthRewardSection))]
[RecipeKind("sum", typeof(SumRewardSection))]
public abstract record RewardSection;

/// <summary>The probability that a classifier gives to a label.</summary>
public sealed record ClassifierRewardSection : RewardSection
{
    /// <summary>The classifier's folder.</summary>
    [RecipePath]
    public required string Path { get; init; }

    /// <summary>The tokenizer's folder; null for the classifier's.</summary>
    [RecipePath]
    public string? Tokenizer { get; init; }

    /// <summary>The label, as the classifier's <c>config.json</c> names it.</summary>
    public required string Label { get; init; }

    /// <summary>Whether the classifier reads prompt and response, or the response alone.</summary>
    public bool IncludePrompt { get; init; } = true;
}

/// <summary>1 where a .NET regular expression matches, 0 elsewhere.</summary>
public sealed record RegexRewardSection : RewardSection, ICheckedSection
{
    /// <summary>The expression; without look-around and back-references, so that no text can make it slow.</summary>
    public required string Pattern { get; init; }

    /// <summary>Whether it is looked for in prompt and response, or in the response alone.</summary>
    public bool IncludePrompt { get; init; }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (UserPattern.Problem(Pattern) is { } problem) yield return ("pattern", problem);
    }
}

/// <summary>How near the response's length is to a target: 1 at the target, falling to −1.</summary>
public sealed record LengthRewardSection : RewardSection
{
    /// <summary>The target, in the policy's tokens, the end token not counted.</summary>
    [Limits(AtLeast = 1)]
    public required int TargetTokens { get; init; }
}

/// <summary>A weighted sum; each part is logged by its name, before its weight.</summary>
public sealed record SumRewardSection : RewardSection, ICheckedSection
{
    /// <summary>The parts.</summary>
    public required IReadOnlyList<RewardPart> Parts { get; init; }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Parts.Count == 0) yield return ("parts", "a sum needs one part at least");
        if (Parts.GroupBy(part => part.Name).FirstOrDefault(parts => parts.Count() > 1) is { } twice) yield return ("parts", $"two parts are named '{twice.Key}'");
    }
}

/// <summary>A part of a sum.</summary>
public sealed record RewardPart
{
    /// <summary>Name for logs and reports.</summary>
    public required string Name { get; init; }

    /// <summary>What its score is multiplied by.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>What scores.</summary>
    public required RewardSection Reward { get; init; }
}
