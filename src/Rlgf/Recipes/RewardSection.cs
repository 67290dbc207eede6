using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Rewards;

namespace Rlgf.Recipes;

/// <summary>What scores a finished response.</summary>
public abstract record RewardSection
{
    /// <summary>
    /// Whether training sees the reward brought to mean 0 and deviation 1 by the running mean and deviation of all rows so far, those of the iteration included.
    /// Metrics, evaluations and the measured gap stay in the reward's own unit. For the whole reward: not for a judge or a part of a sum.
    /// </summary>
    public bool Normalise { get; init; }

    /// <summary>What it has that <c>placement.rewards</c> or <c>placement.judge</c> could place. A kind without models says so, and is then refused a place that it would not use.</summary>
    public virtual PlacedModels Models => PlacedModels.AnyType;

    /// <summary>The section with every default that depends on a model filled in.</summary>
    public virtual RewardSection Resolved() => this;
}

/// <summary>What a classifier says: the probability of a label, or the output of a reward model.</summary>
public sealed record ClassifierRewardSection : RewardSection, ICheckedSection
{
    /// <summary>The classifier's folder.</summary>
    [RecipePath]
    public required string Path { get; init; }

    /// <summary>The tokenizer's folder; null for the classifier's.</summary>
    [RecipePath]
    public string? Tokenizer { get; init; }

    /// <summary>The label, as the classifier's <c>config.json</c> names it; null for the only one of a reward model.</summary>
    public string? Label { get; init; }

    /// <summary>
    /// What is made of the label's output. Null: its probability where the classifier tells labels apart; where it has but one or its <c>problem_type</c> is <c>regression</c>, the output normalised
    /// where the folder keeps by what, and as it is elsewhere. One that does not fit the classifier is refused.
    /// </summary>
    public ClassifierTransform? Transform { get; init; }

    /// <summary>Whether the classifier reads prompt and response, or the response alone.</summary>
    public bool IncludePrompt { get; init; } = true;

    /// <summary>How it reads conversations, by its own chat template, as it was trained to; null: prompt and response as one text.</summary>
    public ChatSection? Chat { get; init; }

    /// <inheritdoc/>
    public override RewardSection Resolved() => Head() is { } head ? this with { Transform = Transform ?? head.DefaultTransform, Label = Label ?? head.Labels[0] } : this;

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Chat is not null && !IncludePrompt) yield return ("include_prompt", "a conversation is read with its prompt; leave it out, or leave out chat");
        if (Head() is not { } head) yield break;
        if (head.LabelProblem(Label) is { } label) yield return ("label", label);
        if (Transform is { } transform && head.TransformProblem(transform) is { } problem) yield return ("transform", problem);
    }

    /// <summary>What the classifier's outputs are; null where that can't be read, of which loading it has more to say.</summary>
    private ClassifierHead? Head()
    {
        try
        {
            return ClassifierHead.Read(Path);
        }
        catch (InputException)
        {
            return null;
        }
    }
}

/// <summary>1 where a .NET regular expression matches, 0 elsewhere.</summary>
public sealed record RegexRewardSection : RewardSection, ICheckedSection
{
    /// <summary>The expression; without look-around and back-references, so that no text can make it slow.</summary>
    public required string Pattern { get; init; }

    /// <summary>Whether it is looked for in prompt and response, or in the response alone.</summary>
    public bool IncludePrompt { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;

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

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;
}

/// <summary>A weighted sum; each part is logged by its name, before its weight.</summary>
public sealed record SumRewardSection : RewardSection, ICheckedSection
{
    /// <summary>The parts.</summary>
    public required IReadOnlyList<RewardPart> Parts { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => Parts.Select(part => part.Reward.Models).Append(PlacedModels.None).Max();

    /// <inheritdoc/>
    public override RewardSection Resolved() => this with { Parts = [.. Parts.Select(part => part with { Reward = part.Reward.Resolved() })] };

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Parts.Any(part => part.Reward.Normalise)) yield return ("parts", "normalise is for the whole reward; set it beside parts, and weigh the parts by weight");
        if (Parts.Count == 0) yield return ("parts", "a sum needs one part at least");
        if (Parts.FirstOrDefault(part => part.ClipAtLeast > part.ClipAtMost) is { } never) yield return ("parts", $"clip_at_most of '{never.Name}' is below its clip_at_least");
        if (Parts.GroupBy(part => part.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(parts => parts.Count() > 1) is { } twice) yield return ("parts", $"two parts are named {string.Join(" and ", twice.Take(2).Select(part => $"'{part.Name}'"))}: give each a name of its own, in which not only capital letters differ");
    }
}

/// <summary>Several rewards of one thing as one: reward models of different seeds, say. They should have one unit, as normalised ones have. Each one's score and their deviation are logged.</summary>
public sealed record EnsembleRewardSection : RewardSection, ICheckedSection
{
    /// <summary>The members, two at least.</summary>
    public required IReadOnlyList<RewardSection> Members { get; init; }

    /// <summary>What is made of their scores.</summary>
    public EnsembleScore Score { get; init; } = EnsembleScore.Mean;

    /// <summary>k of <c>mean_minus_deviations</c>; null for 1.</summary>
    [Limits(AtLeast = 0, AtMost = 1e3)]
    public double? Deviations { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => Members.Select(member => member.Models).Append(PlacedModels.None).Max();

    /// <inheritdoc/>
    public override RewardSection Resolved() => this with { Members = [.. Members.Select(member => member.Resolved())] };

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Members.Count < 2) yield return ("members", "an ensemble needs two members at least");
        if (Members.Any(member => member.Normalise)) yield return ("members", "normalise is for the whole reward; set it beside members");
        if (Deviations is not null && Score != EnsembleScore.MeanMinusDeviations) yield return ("deviations", "is for score: mean_minus_deviations; leave it out");
    }
}

/// <summary>A part of a sum.</summary>
public sealed record RewardPart
{
    /// <summary>Name for logs and reports.</summary>
    [RecipeName]
    public required string Name { get; init; }

    /// <summary>What is made of its score; null for nothing. Logs and reports have what comes out.</summary>
    public ScoreTransform? Transform { get; init; }

    /// <summary>What lower scores become, after the transform; null for no limit.</summary>
    [Limits(AtLeast = -1e6, AtMost = 1e6)]
    public double? ClipAtLeast { get; init; }

    /// <summary>What higher scores become, after the transform; null for no limit.</summary>
    [Limits(AtLeast = -1e6, AtMost = 1e6)]
    public double? ClipAtMost { get; init; }

    /// <summary>What its score is multiplied by.</summary>
    [Limits(AtLeast = -1e6, AtMost = 1e6)]
    public double Weight { get; init; } = 1;

    /// <summary>What scores.</summary>
    public required RewardSection Reward { get; init; }
}
