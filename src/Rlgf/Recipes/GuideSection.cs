using Rlgf.Base;
using Rlgf.Models.Generation;

namespace Rlgf.Recipes;

/// <summary>The guide: a fixed source of continuations.</summary>
[RecipeKind("model", typeof(ModelGuideSection))]
[RecipeKind("references", typeof(ReferencesGuideSection))]
public abstract record GuideSection;

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
}

/// <summary>
/// The data's own references: what follows the prompt in its text, or <c>data.reference_column</c>. They can roll in only, since nobody can go on from what the policy wrote.
/// </summary>
public sealed record ReferencesGuideSection : GuideSection;
