using Rlgf.Runs;

namespace Rlgf.Recipes;

/// <summary>Who is told what a run sees, besides its folder.</summary>
public abstract record RunLogSection;

/// <summary>A line an iteration, or a step of a supervised training, on standard output.</summary>
public sealed record ConsoleLogSection : RunLogSection;

/// <summary>What the code that makes a log is given besides its settings.</summary>
/// <param name="Folder">The run's folder.</param>
/// <param name="Description">What the run is.</param>
/// <param name="Done">Iterations, or steps of a supervised training, that were done before: what a log was told of later ones, by a run that was killed, will be told again.</param>
public sealed record RunLogServices(RunFolder Folder, RunDescription Description, int Done);
