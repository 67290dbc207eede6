namespace Rlgf.Recipes;

/// <summary>A model in the Hugging Face folder layout.</summary>
public sealed record ModelSection
{
    /// <summary>The folder with <c>config.json</c> and <c>model.safetensors</c>.</summary>
    [RecipePath]
    public required string Path { get; init; }

    /// <summary>The tokenizer's folder; null for the model's.</summary>
    [RecipePath]
    public string? Tokenizer { get; init; }

    /// <summary>The section with the tokenizer's folder filled in.</summary>
    public ModelSection Resolved() => this with { Tokenizer = Tokenizer ?? Path };
}
