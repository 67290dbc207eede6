namespace Rlgf.Models.Checkpoints;

/// <summary>How the names in a folder's files are read: what a family makes of them under a configuration.</summary>
/// <param name="InModule">The module's name for a stored tensor; null for what may be ignored (buffers, copies of tied weights).</param>
internal sealed record StoredNames(Func<string, string?> InModule)
{
    /// <summary>The parameter that a stored tensor is tied to, by the module's name for it, and which it can stand for; null for none.</summary>
    public Func<string, string?> TiedTo { get; init; } = _ => null;

    /// <summary>Whether a parameter may stay as it is where the files have none.</summary>
    public Func<string, bool> MayBeMissing { get; init; } = _ => false;

    /// <summary>Another parameter whose numbers one has where the files have none for it; null for none.</summary>
    public Func<string, string?> StandsFor { get; init; } = _ => null;

    /// <summary>Whether tensors that are tied must hold the same numbers: a language model uses both, a classifier doesn't use the head that it was made from.</summary>
    public bool ComparesTied { get; init; }
}
