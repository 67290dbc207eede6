using Rlgf.Models.Lora;

namespace Rlgf.Recipes;

/// <summary>A model in the Hugging Face folder layout, or an adapter for one in PEFT's.</summary>
public sealed record ModelSection
{
    /// <summary>The folder with <c>config.json</c> and <c>model.safetensors</c>, or with <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</summary>
    [RecipePath]
    public required string Path { get; init; }

    /// <summary>The tokenizer's folder; null for the model's.</summary>
    [RecipePath]
    public string? Tokenizer { get; init; }

    /// <summary>
    /// A new adapter that is trained in place of the model's own weights, which everything on the same base then shares; null to train what the folder holds: all weights of a model, or the adapter that it is.
    /// </summary>
    public LoraSettings? Lora { get; init; }

    /// <summary>How a policy that was taught to hold conversations is asked, by its own chat template; null: as a text that it goes on from, or, with <c>data.messages_column</c>, by the conversation as it is.</summary>
    public ChatSection? Chat { get; init; }

    /// <summary>The section with the tokenizer's folder filled in.</summary>
    public ModelSection Resolved() => this with { Tokenizer = Tokenizer ?? Path };
}
