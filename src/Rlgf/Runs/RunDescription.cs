namespace Rlgf.Runs;

/// <summary>What a run is, in a few words: what runs are grouped and named by when they are compared.</summary>
/// <param name="Recipe">Name of the recipe.</param>
/// <param name="Algorithm">Name of the algorithm, or the recipe's kind where it is supervised training; runs of one name and several seeds are averaged.</param>
/// <param name="Seed">Seed of the run.</param>
/// <param name="Guide">Name of the guide; null without one.</param>
/// <param name="IsSupervised">Whether the run is supervised training, which answers no prompts.</param>
public sealed record RunDescription(string Recipe, string Algorithm, ulong Seed, string? Guide = null, bool IsSupervised = false);
