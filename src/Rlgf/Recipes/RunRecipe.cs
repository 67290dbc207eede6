namespace Rlgf.Recipes;

/// <summary>What a recipe file holds; <c>kind:</c> says what it is for.</summary>
[RecipeKind("train", typeof(TrainRecipe))]
[RecipeKind("sft", typeof(SftRecipe))]
[RecipeKind("classifier", typeof(ClassifierRecipe))]
public abstract record RunRecipe
{
    /// <summary>Name of the recipe, for logs, reports and the run's folder.</summary>
    public required string Name { get; init; }

    /// <summary>Seed of everything that is drawn.</summary>
    public ulong Seed { get; init; }

    /// <summary>The run's folder; null for <c>runs/NAME</c>.</summary>
    public string? Output { get; init; }

    /// <summary>The recipe with every default that depends on other keys filled in: what a run's folder keeps.</summary>
    public virtual RunRecipe Resolved() => this with { Output = Output ?? $"runs/{Name}" };
}
