namespace Rlgf.Cli.Tests;

/// <summary>
/// Tests that compare the numbers of two trainings bit for bit run while no others do: how float32 products are computed is a setting of the process, which generation changes for a moment (<c>FastFloat32Products</c>),
/// and in another test's moment the last digits differ.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
[System.Diagnostics.CodeAnalysis.SuppressMessage("Naming", "CA1711", Justification = "The test framework's term.")]
public sealed class ExactNumbersCollection
{
    public const string Name = "Numbers are compared bit for bit";
}
