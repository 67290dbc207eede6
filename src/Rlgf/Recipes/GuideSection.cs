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

    /// <summary>How a model that was taught to hold conversations is asked, by its chat template; null: the prompt is given to it as it is.</summary>
    public ChatSection? Chat { get; init; }

    /// <summary>How the guide samples; null: as the policy does. Give it as many tokens as the policy may write, or it cannot finish what it begins.</summary>
    public SamplingSettings? Sampling { get; init; }
}

/// <summary>What such a model is told; its answer is the response.</summary>
public sealed record ChatSection : ICheckedSection
{
    /// <summary>What stands for the prompt in <see cref="Instruction"/>.</summary>
    internal const string Prompt = "{prompt}";

    /// <summary>The message of the system; null for none but what the template itself puts there.</summary>
    public string? System { get; init; }

    /// <summary>The user's message; <c>{prompt}</c> in it stands for the prompt.</summary>
    public required string Instruction { get; init; }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (!Instruction.Contains(Prompt, StringComparison.Ordinal)) yield return ("instruction", $"holds no {Prompt}, so that every prompt would get the same answer");
    }
}

/// <summary>
/// The data's own references: what follows the prompt in its text, or <c>data.reference_column</c>. They can roll in only, since nobody can go on from what the policy wrote.
/// </summary>
public sealed record ReferencesGuideSection : GuideSection;
