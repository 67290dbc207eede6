namespace Rlgf.Models.Tests;

/// <summary>Tests that count live tensors run while no others do.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
[System.Diagnostics.CodeAnalysis.SuppressMessage("Naming", "CA1711", Justification = "The test framework's term.")]
public sealed class TensorCountCollection
{
    public const string Name = "Live tensors are counted";
}
