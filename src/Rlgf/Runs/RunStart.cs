namespace Rlgf.Runs;

/// <summary>How a run started.</summary>
/// <param name="Done">Iterations that were done before.</param>
/// <param name="IsResumed">Whether it goes on from a checkpoint; otherwise it begins anew.</param>
/// <param name="Notes">What is not as it should be and does not keep the run from going on, one line each.</param>
public sealed record RunStart(int Done, bool IsResumed, IReadOnlyList<string> Notes);
