namespace Rlgf.Models.Blocks;

/// <summary>The two ends of a language model, by the names of their modules.</summary>
/// <param name="Embedding">The table of token vectors.</param>
/// <param name="Head">What scores the vocabulary.</param>
/// <param name="IsTied">Whether the head is the embedding.</param>
/// <param name="CanDiffer">Whether a tied model becomes one with a head of its own by its configuration alone (<c>tie_word_embeddings</c>), and only the head reads the embedding beside its lookup.</param>
internal sealed record EmbeddingNames(string Embedding, string Head, bool IsTied, bool CanDiffer)
{
    /// <summary>The table itself.</summary>
    public string EmbeddingWeight => $"{Embedding}.weight";

    /// <summary>The head's weight, where it has its own.</summary>
    public string HeadWeight => $"{Head}.weight";
}
