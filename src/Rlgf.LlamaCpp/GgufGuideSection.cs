using Rlgf.Base;
using Rlgf.Models.Generation;
using Rlgf.Recipes;

namespace Rlgf.LlamaCpp;

/// <summary>A model in a GGUF file on this machine, quantised or not, computed by llama.cpp; its tokenizer may differ from the policy's.</summary>
public sealed record GgufGuideSection : GuideSection
{
    /// <summary>The file; of a model in parts, the first.</summary>
    [RecipePath]
    public required string Path { get; init; }

    /// <summary>
    /// How a model that was taught to hold conversations is asked, by the chat template in the file; null: it is given the policy's tokens where the two have the same vocabulary, else the prompt's text.
    /// </summary>
    public ChatSection? Chat { get; init; }

    /// <summary>How the guide samples; null: as the policy does. Give it as many tokens as the policy may write, or it cannot finish what it begins.</summary>
    public SamplingSettings? Sampling { get; init; }

    /// <summary>Threads of llama.cpp; null: as many as the run's own.</summary>
    [Limits(AtLeast = 1)]
    [MayChangeOnResume]
    public int? Threads { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;

    /// <inheritdoc/>
    public override GuideSection Resolved(SamplingSettings generation) => this with { Sampling = Sampling ?? generation };
}
