namespace Rlgf.Runs;

/// <summary>What a run is, in a few words: what runs are grouped and named by when they are compared.</summary>
/// <param name="Recipe">Name of the recipe.</param>
/// <param name="Algorithm">Name of the algorithm; runs of one name and several seeds are averaged.</param>
/// <param name="Seed">Seed of the run.</param>
/// <param name="Guide">Name of the guide; null without one.</param>
public sealed record RunDescription(string Recipe, string Algorithm, ulong Seed, string? Guide = null);
