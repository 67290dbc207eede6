using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Models.Generation;

namespace Rlgf.Recipes;

/// <summary>The guide: a fixed source of continuations.</summary>
public abstract record GuideSection
{
    /// <summary>The section with every default that depends on other keys filled in.</summary>
    /// <param name="generation">How the policy samples.</param>
    public virtual GuideSection Resolved(SamplingSettings generation) => this;

    /// <summary>What it has that <c>placement.guide</c> could place. A kind without models says so, and is then refused a place that it would not use.</summary>
    public virtual PlacedModels Models => PlacedModels.AnyType;

    /// <summary>Whether it is known before it is made that the guide can't finish what another began.</summary>
    internal virtual bool OnlyRollsIn => false;

    /// <summary>Whether it answers with the data's references; null where that is not known before it is made.</summary>
    internal virtual bool? GivesReferences => null;

    /// <summary>Whether it counts itself what it is asked, and can be limited by a budget of its own.</summary>
    public virtual bool HasBudget => false;

    /// <summary>The guides that it is made of; itself where it is one.</summary>
    internal virtual IEnumerable<GuideSection> All => [this];
}

/// <summary>A language model on this machine; its tokenizer may differ from the policy's.</summary>
public sealed record ModelGuideSection : GuideSection
{
    /// <summary>The model's folder.</summary>
    [RecipePath]
    public required string Path { get; init; }

    /// <summary>The tokenizer's folder; null for the model's.</summary>
    [RecipePath]
    public string? Tokenizer { get; init; }

    /// <summary>
    /// How a model that was taught to hold conversations is asked, by its own chat template; null: it is given the policy's tokens where the two have the same vocabulary, else the prompt's text.
    /// </summary>
    public ChatSection? Chat { get; init; }

    /// <summary>How the guide samples; null: as the policy does. Give it as many tokens as the policy may write, or it cannot finish what it begins.</summary>
    public SamplingSettings? Sampling { get; init; }

    internal override bool? GivesReferences => false;

    /// <inheritdoc/>
    public override GuideSection Resolved(SamplingSettings generation) => this with { Sampling = Sampling ?? generation, Tokenizer = Tokenizer ?? Path };
}

/// <summary>
/// The data's own references: what follows the prompt in its text, or <c>data.reference_column</c>. They can roll in only, since nobody can go on from what the policy wrote.
/// </summary>
public sealed record ReferencesGuideSection : GuideSection
{
    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;

    internal override bool OnlyRollsIn => true;

    internal override bool? GivesReferences => true;
}

/// <summary>
/// The data's own references, as somebody would give them who is right in a stated share of whole answers: for finding out how good a guide must be. It goes on from whatever stands there, at the place that was
/// reached, and counts characters.
/// </summary>
public sealed record ImperfectReferencesGuideSection : GuideSection, ICheckedSection
{
    /// <summary>The share of whole answers that are right, each character being so with the same probability.</summary>
    [Limits(Above = 0, AtMost = 1)]
    public required double Right { get; init; }

    /// <summary>The characters that a wrong one is drawn from; null: those of the reference and of its prompt.</summary>
    public string? Alphabet { get; init; }

    internal override bool? GivesReferences => false;

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems() =>
        Alphabet is { } alphabet && alphabet.EnumerateRunes().Distinct().Count() < 2 ? [("alphabet", "a wrong character has to be another than the right one: give at least two, or leave it out")] : [];
}

/// <summary>
/// For the countdowns of reasoning-gym (rows with <c>numbers</c> and <c>target</c> in their column <c>meta</c>, up to five numbers): finishes the expression that was begun, by a search through all that can follow.
/// </summary>
public sealed record CountdownSearchGuideSection : GuideSection
{
    /// <summary>The share of its answers that give the target, of those that can; the others use the same numbers and give something else.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public required double Right { get; init; }

    internal override bool? GivesReferences => false;

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;
}

/// <summary>
/// A guide that gives so many answers and no more; what it is asked beyond them the policy writes itself. Evaluations don't count. It shows what a budget of answers is worth; a guide that costs something has a budget of its own.
/// </summary>
public sealed record LimitedGuideSection : GuideSection, ICheckedSection
{
    /// <summary>The most answers.</summary>
    [MayChangeOnResume]
    [Limits(AtLeast = 1, AtMost = 1e12)]
    public required long Answers { get; init; }

    /// <summary>The guide, on this machine.</summary>
    public required GuideSection Guide { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => Guide.Models;

    internal override bool OnlyRollsIn => Guide.OnlyRollsIn;

    internal override bool? GivesReferences => Guide.GivesReferences;

    internal override IEnumerable<GuideSection> All => Guide.All;

    /// <inheritdoc/>
    public override GuideSection Resolved(SamplingSettings generation) => this with { Guide = Guide.Resolved(generation) };

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Guide is LimitedGuideSection) yield return ("guide", "is limited itself: give one limit");
        if (Guide is SeveralGuidesSection) yield return ("guide", "is of several: limit those of them that are to be limited, each by itself");
        if (Guide.HasBudget) yield return ("guide", "counts what it is paid for by itself: give it its own budget");
    }
}

/// <summary>Several guides: each request goes to one of them, and what each cost and bought is measured apart.</summary>
public sealed record SeveralGuidesSection : GuideSection, ICheckedSection
{
    /// <summary>The guides.</summary>
    public required IReadOnlyList<GuidePart> Guides { get; init; }

    /// <summary>How a request gets its guide.</summary>
    public GuideChoice Choose { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => Guides.Max(part => part.Guide.Models);

    internal override bool OnlyRollsIn => Guides.All(part => part.Guide.OnlyRollsIn);

    internal override bool? GivesReferences => Guides.All(part => part.Guide.GivesReferences == true) ? true : Guides.Any(part => part.Guide.GivesReferences == false) ? false : null;

    internal override IEnumerable<GuideSection> All => Guides.SelectMany(part => part.Guide.All);

    /// <inheritdoc/>
    public override GuideSection Resolved(SamplingSettings generation) => this with { Guides = [.. Guides.Select(part => part with { Guide = part.Guide.Resolved(generation) })] };

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Guides.Count < 2) yield return ("guides", $"has {Guides.Count}: name two at least, or the one as guide itself");
        if (Guides.GroupBy(part => part.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(same => same.Count() > 1) is { } twice) yield return ("guides", $"two are called {string.Join(" and ", twice.Take(2).Select(part => $"'{part.Name}'"))}: give each a name of its own, in which not only capital letters differ");
        if (Guides.Any(part => part.Guide is SeveralGuidesSection)) yield return ("guides", "one of them is of several itself: list all in one place");
        for (var i = 0; i < Guides.Count; i++)
        {
            if (Choose == GuideChoice.Bandit && Guides[i].Weight is not null)
                yield return (FormattableString.Invariant($"guides.{i}.weight"), "with choose: bandit nobody has a weight; leave it out, or choose by weights");
        }
    }
}

/// <summary>One of several guides.</summary>
public sealed record GuidePart
{
    /// <summary>What it is called in metrics and reports.</summary>
    [RecipeName]
    public required string Name { get; init; }

    /// <summary>The guide.</summary>
    public required GuideSection Guide { get; init; }

    /// <summary>With <c>choose: weights</c>: its share of the requests, in proportion to those of the others; null: 1.</summary>
    [Limits(Above = 0, AtMost = 1e6)]
    public double? Weight { get; init; }
}
