namespace Rlgf.Runs;

/// <summary>How a run started.</summary>
/// <param name="Done">Iterations, or steps of a supervised training, that were done before.</param>
/// <param name="Total">How many the run will have.</param>
/// <param name="IsResumed">Whether it goes on from a checkpoint; otherwise it begins anew.</param>
/// <param name="Notes">What is not as it should be and does not keep the run from going on, one line each.</param>
public sealed record RunStart(int Done, int Total, bool IsResumed, IReadOnlyList<string> Notes);
