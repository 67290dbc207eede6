namespace Rlgf.Gguf;

/// <summary>A weight as Hugging Face's model has it, and where its numbers are.</summary>
/// <param name="Name">Its name in Hugging Face's checkpoints.</param>
/// <param name="Tensor">The file's tensor that holds it; null where it is all zeros and not stored.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="HeadsWithNeighbouringPairs">
/// How many heads its rows belong to, where the two numbers of a head that are rotated together are neighbours in the file, (pair, half), and Hugging Face has all first halves before all second ones,
/// (half, pair); 0 where rows stand as they are.
/// </param>
public sealed record GgufWeight(string Name, string? Tensor, IReadOnlyList<long> Shape, int HeadsWithNeighbouringPairs)
{
    /// <summary>Whether Hugging Face stores the numbers' distance from 1, and the file themselves.</summary>
    public bool IsFromOne { get; init; }
}
